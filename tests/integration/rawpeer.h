/* The stories of rawpeer, which are longer than one connection; rawpeer.c tells the others. args: what stands behind NODE on the command line. */
#ifndef PL_INTEGRATION_RAWPEER_H
#define PL_INTEGRATION_RAWPEER_H

#include "tests/integration/peer.h"

void rawpeer_flood(const char *address, int args_count, char **args); /* rawpeer_flood.c */
void rawpeer_crowd(const char *address, int args_count, char **args);  /* rawpeer_crowd.c */
void rawpeer_fields(const char *address, int args_count, char **args); /* rawpeer_fields.c */
void rawpeer_known(const char *address, int args_count, char **args);
void rawpeer_states(const char *address, int args_count, char **args); /* rawpeer_states.c */
void rawpeer_drain(const char *address, int args_count, char **args);
void rawpeer_withhold(const char *address, int args_count, char **args); /* rawpeer_withhold.c */
void rawpeer_again(const char *address, int args_count, char **args);

#endif
