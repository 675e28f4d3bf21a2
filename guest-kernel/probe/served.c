// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
/* Served mode: take a request from the mailbox, carry it out, leave the reply, ring. */
#include "probe.h"

static u64 *mailbox_of(const struct cpu *cpu)
{
    return (u64 *)(MAILBOX_BASE + MAILBOX_STRIDE * cpu->index);
}

static void reply(u64 status, const u64 *results, unsigned count)
{
    volatile u64 *box = mailbox_of(this_cpu());

    for (unsigned i = 0; i < MAILBOX_RESULT_WORDS; i++)
        box[MAILBOX_RESULTS + i] = i < count ? results[i] : 0;
    box[MAILBOX_STATUS] = status;
}

/* The page is the VMM's to overwrite: work on copies. */
static void one_command(void *unused)
{
    volatile u64 *box = mailbox_of(this_cpu());
    u64 request[MAILBOX_REQUEST_WORDS];
    u64 results[MAILBOX_RESULT_WORDS];
    u64 status;

    (void)unused;
    for (unsigned i = 0; i < MAILBOX_REQUEST_WORDS; i++)
        request[i] = box[MAILBOX_REQUEST + i];
    for (unsigned i = 0; i < MAILBOX_RESULT_WORDS; i++)
        results[i] = 0;
    status = carry_out(request[0], request + 1, results);
    reply(status, results, MAILBOX_RESULT_WORDS);
}

/* Called on the way out of an exception; `fatal` if there is no command to go back from. */
void served_report_exception(const u64 *details, int fatal)
{
    reply(STATUS_EXCEPTION, details, 4);
    outl(DOORBELL_PORT, fatal ? DOORBELL_PANIC : DOORBELL_EXCEPTION);
}

void served_main(void)
{
    reply(STATUS_BOOTED, 0, 0);
    for (;;) {
        outl(DOORBELL_PORT, DOORBELL_NEXT);
        guarded_call(one_command, 0);
    }
}
