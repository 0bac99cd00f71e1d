/* parleyd: the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "crypto/selftest.h"
#include "node/conf.h"
#include "node/core.h"
#include "node/expiry.h"
#include "node/file.h"
#include "node/keys.h"
#include "node/lock.h"
#include "node/log.h"
#include "node/notify.h"

#define PASSPHRASE_BYTES_MAX 1024
#define DAY_MS 86400000u
#define FILES_FREE_MIN 16 /* loop, store and doors take 14 of them; without any for links there is no node */

/* Exit codes: 0 stopped when asked to, 1 failed while running, 2 wrong usage, 3 could not start. */
enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_START = 3 };

struct daemon {
	uv_loop_t loop;
	uv_signal_t term, interrupt, hangup;
	uv_async_t failed;
	uv_timer_t watchdog, daily;
	struct pl_core *core;
	bool stopping;
};

static void usage(FILE *out)
{
	fputs("Usage: parleyd [--dir DIR] [--check] [--new-store]\n"
	      "Runs this node of a Parley network. See parleyd(8), parley.conf(5).\n"
	      "\n"
	      "  -d, --dir DIR    the node's folder, made by `parley init`\n"
	      "                   (default: $PARLEY_DIR, else /var/lib/parley)\n"
	      "  -c, --check      say whether configuration, charter, keys and peers are right,\n"
	      "                   and exit\n"
	      "  -n, --new-store  where the store is lost: make a new one, and receive and\n"
	      "                   relay, but sign nothing\n"
	      "  -h, --help       show this\n"
	      "  -V, --version    show the version\n"
	      "\n"
	      "The passphrase of the node's key comes from passphrase_file in parley.conf, the\n"
	      "systemd credential \"passphrase\", $PARLEY_PASSPHRASE, or the terminal. SIGTERM\n"
	      "and SIGINT stop the node after what is queued has been committed.\n"
	      "\n"
	      "Exit codes: 0 stopped, 1 failed while running, 2 wrong usage, 3 could not start.\n",
	      out);
}

static void on_stopped(void *ctx)
{
	struct daemon *daemon = ctx;

	uv_close((uv_handle_t *)&daemon->term, NULL);
	uv_close((uv_handle_t *)&daemon->interrupt, NULL);
	uv_close((uv_handle_t *)&daemon->hangup, NULL);
	uv_close((uv_handle_t *)&daemon->failed, NULL);
	uv_close((uv_handle_t *)&daemon->watchdog, NULL);
	uv_close((uv_handle_t *)&daemon->daily, NULL);
}

static void stop(struct daemon *daemon)
{
	if (daemon->stopping)
		return;
	daemon->stopping = true;
	pl_notify_stopping("committing what is queued");
	pl_core_stop(daemon->core, on_stopped, daemon);
}

static void on_signal(uv_signal_t *handle, int number)
{
	PL_LOG(PL_LOG_INFO, "main", "stopping", PL_F_STR("signal", number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "SIGHUP"));
	stop(handle->data);
}

static void on_failed_async(uv_async_t *async)
{
	stop(async->data);
}

static void on_failed(void *ctx)
{
	struct daemon *daemon = ctx;

	uv_async_send(&daemon->failed);
}

static void on_watchdog(uv_timer_t *timer)
{
	(void)timer;
	pl_notify_watchdog();
}

/* At the start, and each day from then on. */
static void on_daily(uv_timer_t *timer)
{
	const struct daemon *daemon = timer->data;
	char why[PL_EXPIRY_WHY_BYTES];

	if (pl_expiry_warning(pl_core_charter(daemon->core), pl_core_self(daemon->core), pl_core_wall_ms(daemon->core), why, sizeof(why)))
		PL_LOG(PL_LOG_WARNING, "main", "the network's end is near", PL_F_STR("why", why));
}

/* Secrets stay out of swap as far as sodium_malloc keeps them, and out of core dumps altogether. */
static void harden(void)
{
	const struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
}

static enum pl_err get_passphrase(const struct pl_conf *conf, char *out, char *why, size_t why_max)
{
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	char path[PL_PATH_BYTES_MAX];

	if (conf->passphrase_file[0])
		return pl_passphrase_get(conf->passphrase_file, "", 0, out, PASSPHRASE_BYTES_MAX, why, why_max);
	if (credentials) {
		snprintf(path, sizeof(path), "%s/passphrase", credentials);
		if (access(path, R_OK) == 0)
			return pl_passphrase_get(path, "", 0, out, PASSPHRASE_BYTES_MAX, why, why_max);
	}
	return pl_passphrase_get(NULL, "Passphrase of the node's key", 0, out, PASSPHRASE_BYTES_MAX, why, why_max);
}

/* A file that the start would make, or open, in its folder. */
static bool check_place(const char *path, mode_t kind, const char *what)
{
	char folder[PL_PATH_BYTES_MAX];
	struct stat st;

	snprintf(folder, sizeof(folder), "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	else
		strcpy(folder, ".");
	if (access(folder, W_OK | X_OK) != 0)
		fprintf(stderr, "parleyd: %s: the folder of the %s: %s\n", folder, what, strerror(errno));
	else if (lstat(path, &st) == 0 && (st.st_mode & S_IFMT) != kind && !(S_ISLNK(st.st_mode) && kind == S_IFREG))
		fprintf(stderr, "parleyd: %s: stands where the %s goes, and is something else\n", path, what);
	else if (kind == S_IFREG && access(path, F_OK) == 0 && access(path, R_OK | W_OK) != 0)
		fprintf(stderr, "parleyd: %s: the %s: %s\n", path, what, strerror(errno));
	else if (kind == S_IFSOCK && strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		fprintf(stderr, "parleyd: %s: the path of the %s is longer than %zu bytes\n", path, what, sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
	else
		return true;
	return false;
}

/* All that the start would look at, short of what is in the store and of the network; and it says so, since a node may be running there. Where there is no passphrase and nobody to ask, the keys stay closed. */
static int check(const struct pl_conf *conf)
{
	char *passphrase = sodium_malloc(PASSPHRASE_BYTES_MAX), why[512] = "out of memory";
	enum pl_err err = passphrase ? get_passphrase(conf, passphrase, why, sizeof(why)) : PL_ERR_MEMORY;
	const bool without_key = err == PL_ERR_NO_KEY;

	if (err == PL_OK || without_key)
		err = pl_core_check(conf, without_key ? NULL : passphrase, why, sizeof(why));
	sodium_free(passphrase);
	if (err != PL_OK) {
		fprintf(stderr, "parleyd: %s\n", why);
		return EXIT_NO_START;
	}
	if (!check_place(conf->store_file, S_IFREG, "store") || !check_place(conf->socket_path, S_IFSOCK, "socket"))
		return EXIT_NO_START;
	printf("%s/parley.conf: ok\n", conf->dir);
	printf("not looked at: what is in %s, and whether the listen addresses and the socket are free\n", conf->store_file);
	if (without_key)
		printf("%s: not opened, since no passphrase is at hand here\n", conf->key_file);
	return 0;
}

/* Whether FILES_FREE_MIN more files could be opened. */
static bool has_files_free(void)
{
	int fds[FILES_FREE_MIN];
	size_t count = 0;

	while (count < FILES_FREE_MIN && (fds[count] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
		count++;
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	return count == FILES_FREE_MIN;
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void close_loop(struct daemon *daemon)
{
	uv_walk(&daemon->loop, close_handle, NULL);
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	uv_loop_close(&daemon->loop);
}

/* The loop, and what may fail of the handles. Where it returns an error of libuv's, nothing is left to close. */
static int open_loop(struct daemon *daemon)
{
	/* libuv aborts where there are none for its first pipes, instead of saying so. */
	int uv_err = has_files_free() ? uv_loop_init(&daemon->loop) : UV_EMFILE;

	if (uv_err != 0)
		return uv_err;
	if ((uv_err = uv_async_init(&daemon->loop, &daemon->failed, on_failed_async)) != 0 || (uv_err = uv_signal_init(&daemon->loop, &daemon->term)) != 0 ||
	    (uv_err = uv_signal_init(&daemon->loop, &daemon->interrupt)) != 0 || (uv_err = uv_signal_init(&daemon->loop, &daemon->hangup)) != 0) {
		close_loop(daemon);
		return uv_err;
	}
	uv_unref((uv_handle_t *)&daemon->failed);
	daemon->failed.data = daemon->term.data = daemon->interrupt.data = daemon->hangup.data = daemon;
	return 0;
}

static int run(struct daemon *daemon, const struct pl_conf *conf)
{
	char *passphrase, why[512] = "out of memory";
	int code = EXIT_NO_START;

	const int uv_err = open_loop(daemon);
	if (uv_err != 0) {
		fprintf(stderr, "parleyd: the event loop cannot be started: %s%s\n", uv_strerror(uv_err),
		        uv_err == UV_EMFILE ? "; raise the limit (ulimit -n, LimitNOFILE= under systemd)" : "");
		return code;
	}
	passphrase = sodium_malloc(PASSPHRASE_BYTES_MAX);
	if (!passphrase || get_passphrase(conf, passphrase, why, sizeof(why)) != PL_OK ||
	    pl_core_new(&daemon->loop, conf, passphrase, on_failed, daemon, &daemon->core, why, sizeof(why)) != PL_OK) {
		fprintf(stderr, "parleyd: %s\n", why);
		goto out;
	}
	sodium_memzero(passphrase, PASSPHRASE_BYTES_MAX);
	uv_timer_init(&daemon->loop, &daemon->watchdog);
	uv_timer_init(&daemon->loop, &daemon->daily);
	daemon->daily.data = daemon;
	uv_signal_start(&daemon->term, on_signal, SIGTERM);
	uv_signal_start(&daemon->interrupt, on_signal, SIGINT);
	uv_signal_start(&daemon->hangup, on_signal, SIGHUP);
	if (pl_notify_watchdog_ms() > 0)
		uv_timer_start(&daemon->watchdog, on_watchdog, pl_notify_watchdog_ms(), pl_notify_watchdog_ms());

	char name[PL_NODE_NAME_BYTES];
	const struct pl_charter *charter = pl_core_charter(daemon->core);
	pl_charter_node_name(charter, pl_core_self(daemon->core), name);
	PL_LOG(PL_LOG_INFO, "main", "ready", PL_F_STR("node", name), PL_F_STR("network", charter->name), PL_F_STR("version", PL_VERSION),
	       PL_F_STR("dir", conf->dir),
	       PL_F_U64("certificate_days_left", pl_expiry_days(pl_core_wall_ms(daemon->core), charter->nodes[pl_core_self(daemon->core)].certificate.valid_until_ms)));
	uv_timer_start(&daemon->daily, on_daily, 0, DAY_MS);
	snprintf(why, sizeof(why), "node %s of the network %s", name, charter->name);
	pl_notify_ready(why);
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	code = pl_core_exit_code(daemon->core) == 0 ? EXIT_STOPPED : EXIT_FAILED;
	pl_core_free(daemon->core);
	PL_LOG(PL_LOG_INFO, "main", "stopped");
out:
	sodium_free(passphrase);
	close_loop(daemon);
	pl_log_flush();
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' }, { "check", no_argument, NULL, 'c' }, { "new-store", no_argument, NULL, 'n' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
	};
	static struct daemon daemon;
	const char *dir = getenv("PARLEY_DIR");
	char why[512];
	bool check_only = false, new_store = false;
	int option;

	pl_file_take_standard();
	while ((option = getopt_long(argc, argv, "d:cnhV", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			dir = optarg;
			break;
		case 'c':
			check_only = true;
			break;
		case 'n':
			new_store = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'V':
			puts("parleyd " PL_VERSION);
			return 0;
		default:
			fputs("Try parleyd --help\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "parleyd: unexpected argument %s\nTry parleyd --help\n", argv[optind]);
		return EXIT_USAGE;
	}
	if (!dir || !dir[0])
		dir = "/var/lib/parley";
	if (sodium_init() < 0) {
		fputs("parleyd: libsodium could not be started\n", stderr);
		return EXIT_NO_START;
	}
	const char *what;
	if (pl_selftest(&what) != PL_OK) {
		fprintf(stderr, "parleyd: %s\n", what);
		return EXIT_NO_START;
	}
	harden();
	struct pl_conf *conf = calloc(1, sizeof(*conf));
	struct pl_lock lock;
	if (!conf || pl_conf_read(conf, dir, why, sizeof(why)) != PL_OK) {
		fprintf(stderr, "parleyd: %s\n", conf ? why : "out of memory");
		free(conf);
		return EXIT_NO_START;
	}
	conf->new_store = new_store;
	if (check_only) {
		const int checked = check(conf);
		free(conf);
		return checked;
	}
	pl_log_open(2, conf->log_level, conf->log_json);
	if (pl_lock_take(conf->dir, &lock, why, sizeof(why)) != PL_OK) {
		fprintf(stderr, "parleyd: %s\n", why);
		free(conf);
		return EXIT_NO_START;
	}
	const int code = run(&daemon, conf);
	pl_lock_release(&lock);
	free(conf);
	return code;
}
