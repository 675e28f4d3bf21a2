/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* PCI configuration space by ports CF8/CFC. A function is its bus << 8 | device << 3 | function. */
#ifndef PROBE_PCI_H
#define PROBE_PCI_H

#include "probe.h"

#define PCI_ID 0x00
#define PCI_COMMAND 0x04
#define PCI_HEADER_TYPE 0x0E
#define PCI_BAR0 0x10
#define PCI_BUSES 0x18

#define PCI_COMMAND_MEMORY 2
#define PCI_COMMAND_MASTER 4

#define PCI_BARS 6
#define PCI_NOBODY 0xFFFFFFFF

struct bar {
    u64 address;
    u64 size; /* 0: no memory BAR here */
    int prefetchable;
    int wide; /* takes two registers */
};

u32 pci_read32(u32 function, u32 offset);
u16 pci_read16(u32 function, u32 offset);
void pci_write32(u32 function, u32 offset, u32 value);
void pci_write16(u32 function, u32 offset, u16 value);

void pci_walk(void (*visit)(u32 function));
struct bar pci_bar(u32 function, unsigned index);
/* Gives every memory BAR that firmware left at 0 an address. */
void pci_assign_bars(u32 function);
void pci_enable(u32 function, u16 bits);
void pci_disable(u32 function, u16 bits);

/* Returns the offset of the PCI Express capability if the function can do an FLR, else 0. */
u32 pci_flr_capability(u32 function);
/* Starts one; 100 ms must pass. Loses BARs and command register. */
void pci_flr(u32 function, u32 capability);

struct pci_saved {
    u32 bars[PCI_BARS];
    u16 command;
};

struct pci_saved pci_save(u32 function);
void pci_restore(u32 function, const struct pci_saved *saved);

#endif
