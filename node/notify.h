/* What a service tells systemd (sd_notify(3)): datagrams to the socket that $NOTIFY_SOCKET names. Without one all this does nothing. Nothing
 * here waits: a datagram that finds no room is lost.
 *
 * A unit has Type=notify and, for the watchdog, WatchdogSec=.
 */
#ifndef PL_NODE_NOTIFY_H
#define PL_NODE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Started: links and API are up. status: one line for `systemctl status`. Each returns whether systemd has taken it. */
bool pl_notify_ready(const char *status);
bool pl_notify_stopping(const char *status);
/* Alive. To be called every pl_notify_watchdog_ms(), from the loop, so that a loop that hangs is noticed. */
bool pl_notify_watchdog(void);
/* Half the time after which systemd kills a silent service; 0: it does not watch this process. */
uint64_t pl_notify_watchdog_ms(void);

#endif
