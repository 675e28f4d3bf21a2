// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* The end of a probe that is alone: every way out that was offered, then the crude ones. */
#include "probe.h"

/* ACPI's S5 with SLP_TYP 0, as on QEMU's q35; the sleep-enable bit is 0x2000 everywhere. */
#define SLEEP_DEFAULT 0x2000
#define RESET_CONTROL 0xCF9
#define KEYBOARD 0x64

void power_off(int failed)
{
    u64 port = cmdline_number("poweroff_port", 0);
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) no_idt = { 0, 0 };

    if (port)
        outw(port, cmdline_number("poweroff_value", SLEEP_DEFAULT));
    /* QEMU's isa-debug-exit leaves with 2 * value + 1: 1 is a pass, 3 a failure. */
    port = cmdline_number("debug_exit", 0);
    if (port)
        outl(port, failed);
    outb(RESET_CONTROL, 0x02);
    outb(RESET_CONTROL, 0x06);
    outb(KEYBOARD, 0xFE);
    /* An exception nobody handles resets whatever is left. */
    __asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
    out_of_order();
}
