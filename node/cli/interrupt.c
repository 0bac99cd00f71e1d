#include <signal.h>
#include <unistd.h>

#include "node/cli/cli.h"

static char interrupt_text[512];
static volatile sig_atomic_t interrupt_bytes;

static void on_interrupt(int number)
{
	if (interrupt_bytes > 0 && write(STDERR_FILENO, interrupt_text, (size_t)interrupt_bytes) < 0) {
		/* there is nobody to tell */
	}
	(void)signal(number, SIG_DFL);
	(void)raise(number); /* once this returns */
}

void pl_interrupt_tell(const struct pl_cli *cli, const char *message, const char *hint)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	const char *lead = isatty(STDERR_FILENO) ? "\n" : ""; /* after the ^C that a terminal shows */
	interrupt_bytes = 0;
	if (message == NULL)
		return;
	int length = cli->json ? snprintf(interrupt_text, sizeof(interrupt_text), "%s{\"error\":{\"code\":\"interrupted\",\"message\":\"%s\",\"hint\":\"%s\"}}\n",
	                                  lead, message, hint)
	                       : snprintf(interrupt_text, sizeof(interrupt_text), "%sparley: interrupted: %s\n        %s\n", lead, message, hint);
	interrupt_bytes = length > 0 && (size_t)length < sizeof(interrupt_text) ? length : 0;
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		struct sigaction before, action = { .sa_handler = on_interrupt };
		if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			(void)sigaction(signals[i], &action, NULL);
	}
}
