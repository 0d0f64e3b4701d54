#ifndef E2E_GREET_H
#define E2E_GREET_H
/* Prints a greeting. */
void e2e_greet(const char *who);
#endif
