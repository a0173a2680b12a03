/* What others see of the tiny guest on its network. */
#ifndef LEDGERD_NETWORK_H
#define LEDGERD_NETWORK_H

/* All network cards are up; the first has the address of ledgerd.address=ADDRESS/PREFIX on the kernel's command line, if
   there is one, and the first address of that network for its router. */
void network_up (void);
/* On the TCP port of ledgerd.port=NUMBER, if there is one, whoever connects is told the last acknowledged record. */
void network_answer (void);

#endif
