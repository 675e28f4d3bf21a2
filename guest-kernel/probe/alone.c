// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/*
 * The probe without anybody to serve: under any VMM that boots PVH images, it finds a BAR and
 * a DMA engine by itself, takes them through the steps, and ends with one line:
 *
 *   probe: verdict pass
 *   probe: verdict fail: <why>
 */
#include "alone.h"

#define EDU_ID 0x11E81234
#define DEFAULT_LENGTH 256

static struct bench bench = { .target = NO_FUNCTION, .edu = NO_FUNCTION };

static void verdict(const char *why) __attribute__((noreturn));
static void verdict(const char *why)
{
    if (why)
        say("probe: verdict fail: %s\n", why);
    else
        say("probe: verdict pass\n");
    power_off(why != 0);
}

void alone_give_up(const char *why)
{
    verdict(why);
}

/* "BB:DD.F", hexadecimal as lspci prints it. */
static u32 parse_function(const char *text)
{
    u64 bus, slot, number;

    text = parse_number(text, 16, &bus);
    if (text && *text++ == ':')
        text = parse_number(text, 16, &slot);
    else
        text = 0;
    if (text && *text++ == '.')
        text = parse_number(text, 16, &number);
    else
        text = 0;
    if (!text || bus > 255 || slot > 31 || number > 7)
        verdict("target= is not BB:DD.F");
    return bus << 8 | slot << 3 | number;
}

/* Prefetchable before not, then the larger. */
static int better(const struct bar *a, const struct bar *b)
{
    if (a->prefetchable != b->prefetchable)
        return a->prefetchable;
    return a->size > b->size;
}

static void consider_bar(u32 function, unsigned index)
{
    struct bar bar = pci_bar(function, index);
    u64 chosen = cmdline_number("bar", PCI_BARS);
    int named = cmdline_value("target") != 0;

    if (!bar.size || (named && chosen < PCI_BARS && chosen != index))
        return;
    /* Unasked, only what is surely memory: registers are not for writing patterns to. */
    if (!named && !bar.prefetchable)
        return;
    if (bench.target != NO_FUNCTION && !better(&bar, &bench.bar))
        return;
    bench.target = function;
    bench.bar_index = index;
    bench.bar = bar;
}

static void consider(u32 function)
{
    const char *target = cmdline_value("target");
    u32 id = pci_read32(function, PCI_ID);

    say("probe: %b id %x\n", (u64)function, (u64)id);
    if (id == EDU_ID) {
        if (bench.edu == NO_FUNCTION)
            bench.edu = function;
        return;
    }
    if (target && parse_function(target) != function)
        return;
    if ((pci_read32(function, PCI_HEADER_TYPE) >> 16) & 0x7F)
        return;
    for (unsigned index = 0; index < PCI_BARS; index++) {
        consider_bar(function, index);
        index += pci_bar(function, index).wide;
    }
}

static void set_up_target(void)
{
    u64 offset = cmdline_number("offset", 0);

    bench.length = cmdline_number("length", DEFAULT_LENGTH);
    /* PCI says all ones; QEMU's own devices say 0, which absent=0 allows. */
    bench.absent = cmdline_number("absent", 0xFFFFFFFF);
    if (bench.target == NO_FUNCTION)
        verdict("no target BAR");
    pci_assign_bars(bench.target);
    pci_enable(bench.target, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    bench.bar = pci_bar(bench.target, bench.bar_index);
    bench.window = bench.bar.address + offset;
    if (offset % 4 || bench.length % 4 || !bench.length || bench.length > EDU_BUFFER_BYTES)
        verdict("offset= and length= must be multiples of 4, length= at most 4096");
    if (offset + bench.length > bench.bar.size)
        verdict("offset= and length= go beyond the BAR");
    if (paging_cover(bench.window, bench.length))
        verdict("the BAR cannot be mapped");
    say("probe: target %b bar %d at %x, %d bytes\n", (u64)bench.target, (u64)bench.bar_index,
        bench.bar.address, bench.bar.size);
}

static void set_up_edu(void)
{
    const char *plant = cmdline_value("plant");

    if (bench.edu == NO_FUNCTION)
        return;
    pci_assign_bars(bench.edu);
    pci_enable(bench.edu, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    bench.edu_bar = pci_bar(bench.edu, 0).address;
    if (paging_cover(bench.edu_bar, 4096))
        verdict("edu's BAR cannot be mapped");
    say("probe: edu %b at %x\n", (u64)bench.edu, bench.edu_bar);
    /* A fault of our own, to show that these steps can fail. */
    if (plant && word_equals(plant, "no-bus-master"))
        pci_disable(bench.edu, PCI_COMMAND_MASTER);
}

static const struct {
    const char *name;
    const char *(*run)(struct bench *);
} steps[] = {
    { "cpu", step_cpu },
    { "p2p", step_p2p },
    { "flr", step_flr },
    { "decode", step_decode },
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* One name of the list steps=a,b,c; returns the rest of the list, or 0 at its end. */
static const char *run_named(const char *list)
{
    for (unsigned i = 0; i < STEPS; i++) {
        const char *why;

        if (!word_equals(list, steps[i].name))
            continue;
        why = steps[i].run(&bench);
        say("probe: step %s: %s\n", steps[i].name, why ? why : "ok");
        if (why)
            verdict(why);
        while (*list && *list != ',' && *list != ' ')
            list++;
        return *list == ',' ? list + 1 : 0;
    }
    verdict("steps= names a step there is not");
}

void alone_main(void)
{
    const char *list = cmdline_value("steps");

    pci_walk(consider);
    set_up_target();
    set_up_edu();
    if (!list) {
        list = "cpu,p2p,flr,decode";
        if (!pci_flr_capability(bench.target)) {
            say("probe: step flr: skipped, the target has no FLR\n");
            list = "cpu,p2p,decode";
        }
    }
    while (list)
        list = run_named(list);
    verdict(0);
}
