/* SPDX-License-Identifier: Apache-2.0 */
/** What libbpf and libxdp have to say goes to the log, with log_level "debug" only. Control thread. */
#ifndef DATAPLANE_BPF_PRINT_H
#define DATAPLANE_BPF_PRINT_H

/** Before the first call of either library. May be called again. */
void bpf_print_to_log(void);

#endif
