// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* Walking PCI, sizing and placing BARs, and the two ways to make a BAR go away. */
#include "pci.h"

#define CONFIG_ADDRESS 0xCF8
#define CONFIG_DATA 0xCFC

#define HEADER_MULTIFUNCTION 0x80
#define HEADER_BRIDGE 1
#define STATUS_CAPABILITIES (1u << 20) /* in the dword with the command */
#define CAPABILITIES 0x34
#define CAP_EXPRESS 0x10
#define EXPRESS_DEVICE_CAP 4
#define EXPRESS_DEVICE_CONTROL 8
#define DEVICE_CAP_FLR (1u << 28)
#define DEVICE_CONTROL_FLR (1u << 15)

#define BAR_IO 1
#define BAR_WIDE 4
#define BAR_PREFETCHABLE 8

/* Where BARs without an address go: below the interrupt controllers, above any RAM. */
#define MMIO32_DEFAULT 0xE0000000

static void select(u32 function, u32 offset)
{
    outl(CONFIG_ADDRESS, 0x80000000 | function << 8 | (offset & 0xFC));
}

u32 pci_read32(u32 function, u32 offset)
{
    select(function, offset);
    return inl(CONFIG_DATA);
}

u16 pci_read16(u32 function, u32 offset)
{
    return pci_read32(function, offset) >> (offset & 2) * 8;
}

void pci_write32(u32 function, u32 offset, u32 value)
{
    select(function, offset);
    outl(CONFIG_DATA, value);
}

/* Two bytes only: its neighbour may be a status register, cleared by writing ones. */
void pci_write16(u32 function, u32 offset, u16 value)
{
    select(function, offset);
    outw(CONFIG_DATA + (offset & 2), value);
}

static u32 header_type(u32 function)
{
    return (pci_read32(function, PCI_HEADER_TYPE) >> 16) & 0xFF;
}

static void walk_bus(u32 bus, void (*visit)(u32))
{
    for (u32 slot = 0; slot < 32; slot++) {
        for (u32 number = 0; number < 8; number++) {
            u32 function = bus << 8 | slot << 3 | number;
            u32 type, below;

            if ((pci_read32(function, PCI_ID) & 0xFFFF) == 0xFFFF) {
                if (number == 0)
                    break;
                continue;
            }
            visit(function);
            type = header_type(function);
            below = (pci_read32(function, PCI_BUSES) >> 8) & 0xFF;
            /* A bus without a number is one that firmware did not set up: nothing to see. */
            if ((type & 0x7F) == HEADER_BRIDGE && below > bus)
                walk_bus(below, visit);
            if (number == 0 && !(type & HEADER_MULTIFUNCTION))
                break;
        }
    }
}

void pci_walk(void (*visit)(u32 function))
{
    walk_bus(0, visit);
}

void pci_enable(u32 function, u16 bits)
{
    pci_write16(function, PCI_COMMAND, pci_read16(function, PCI_COMMAND) | bits);
}

void pci_disable(u32 function, u16 bits)
{
    pci_write16(function, PCI_COMMAND, pci_read16(function, PCI_COMMAND) & ~bits);
}

/* What a BAR register answers to all ones, decode being off. */
static u32 ask_size(u32 function, u32 offset)
{
    u32 kept = pci_read32(function, offset), answer;

    pci_write32(function, offset, 0xFFFFFFFF);
    answer = pci_read32(function, offset);
    pci_write32(function, offset, kept);
    return answer;
}

struct bar pci_bar(u32 function, unsigned index)
{
    u32 offset = PCI_BAR0 + 4 * index;
    u32 low = pci_read32(function, offset);
    u16 command = pci_read16(function, PCI_COMMAND);
    struct bar bar = { 0 };
    u64 mask;

    if (low & BAR_IO)
        return bar;
    bar.prefetchable = !!(low & BAR_PREFETCHABLE);
    bar.wide = !!(low & BAR_WIDE) && index < PCI_BARS - 1;
    pci_disable(function, PCI_COMMAND_MEMORY);
    bar.address = low & ~0xFu;
    mask = 0xFFFFFFFF00000000 | (ask_size(function, offset) & ~0xFu);
    if (bar.wide) {
        bar.address |= (u64)pci_read32(function, offset + 4) << 32;
        mask = (u64)ask_size(function, offset + 4) << 32 | (u32)mask;
    }
    pci_write16(function, PCI_COMMAND, command);
    bar.size = (u32)mask || bar.wide ? -mask : 0;
    return bar;
}

/* The next free address of a hole, aligned to `size`. */
static u64 take(u64 *hole, u64 size)
{
    u64 address = (*hole + size - 1) & -size;

    *hole = address + size;
    return address;
}

void pci_assign_bars(u32 function)
{
    static u64 hole32, hole64;

    if (!hole32) {
        hole32 = cmdline_number("mmio32", MMIO32_DEFAULT);
        hole64 = cmdline_number("mmio64", 0);
    }
    for (unsigned index = 0; index < PCI_BARS; index++) {
        struct bar bar = pci_bar(function, index);
        u32 offset = PCI_BAR0 + 4 * index;

        if (bar.size && !bar.address) {
            u64 address = take(bar.wide && hole64 ? &hole64 : &hole32, bar.size);

            pci_write32(function, offset, address);
            if (bar.wide)
                pci_write32(function, offset + 4, address >> 32);
            say("probe: %b bar %d: firmware left it at 0, now %x\n", (u64)function, (u64)index,
                address);
        }
        index += bar.wide;
    }
}

u32 pci_flr_capability(u32 function)
{
    u32 at;

    if (!(pci_read32(function, PCI_COMMAND) & STATUS_CAPABILITIES))
        return 0;
    at = pci_read32(function, CAPABILITIES) & 0xFC;
    /* A list that goes in circles ends, too. */
    for (unsigned steps = 0; at && steps < 48; steps++) {
        u32 header = pci_read32(function, at);
        if ((header & 0xFF) == CAP_EXPRESS)
            return pci_read32(function, at + EXPRESS_DEVICE_CAP) & DEVICE_CAP_FLR ? at : 0;
        at = (header >> 8) & 0xFC;
    }
    return 0;
}

void pci_flr(u32 function, u32 capability)
{
    u32 control = capability + EXPRESS_DEVICE_CONTROL;
    pci_write16(function, control, pci_read16(function, control) | DEVICE_CONTROL_FLR);
}

struct pci_saved pci_save(u32 function)
{
    struct pci_saved saved = { .command = pci_read16(function, PCI_COMMAND) };

    for (unsigned i = 0; i < PCI_BARS; i++)
        saved.bars[i] = pci_read32(function, PCI_BAR0 + 4 * i);
    return saved;
}

/* BARs first: nothing may decode at an address that is half written. */
void pci_restore(u32 function, const struct pci_saved *saved)
{
    for (unsigned i = 0; i < PCI_BARS; i++)
        pci_write32(function, PCI_BAR0 + 4 * i, saved->bars[i]);
    pci_write16(function, PCI_COMMAND, saved->command);
}
