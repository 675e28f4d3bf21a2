use super::*;

#[test]
fn complaints_are_known_by_their_headline() {
    for (line, what) in [
        (
            "WARNING: CPU: 1 PID: 88 at drivers/vfio/pci/vfio_pci_dmabuf.c:312 vfio_pci_dma_buf_move+0x1f2/0x210",
            "a WARN",
        ),
        (
            "WARNING: drivers/iommu/iommufd/pages.c:1532 at iopt_area_unfill_domains+0x9c/0xa0, CPU#0: probe/91",
            "a WARN",
        ),
        ("[  T112] WARNING: kernel/kthread.c:400 at kthread_bind+0x1/0x2, CPU#1: kworker/1:1/112", "a WARN"),
        ("BUG: kernel NULL pointer dereference, address: 0000000000000018", "a NULL pointer dereference"),
        ("BUG: unable to handle page fault for address: ffffc90000a3d000", "a page fault of its own"),
        (
            "Unable to handle kernel paging request at virtual address dead000000000108",
            "a page fault of its own",
        ),
        ("BUG: Bad page state in process barkeep  pfn:10a3f", "a bad page"),
        ("kernel BUG at mm/memory.c:2713!", "a BUG"),
        ("BUG: workqueue leaked atomic, lock or RCU: kworker/0:2[61]", "a BUG"),
        ("Oops: 0002 [#1] SMP NOPTI", "an oops"),
        (
            "Oops: general protection fault, probably for non-canonical address 0xdead000000000122: 0000 [#1]",
            "a general protection fault",
        ),
        (
            "general protection fault, maybe for address 0x0: 0000 [#1] PREEMPT SMP",
            "a general protection fault",
        ),
        ("WARNING: possible circular locking dependency detected", "a lock order (lockdep)"),
        ("WARNING: inconsistent lock state", "an inconsistent lock state (lockdep)"),
        ("inconsistent {HARDIRQ-ON-W} -> {IN-HARDIRQ-W} usage.", "an inconsistent lock state (lockdep)"),
        ("WARNING: bad unlock balance detected!", "an unlock without a lock (lockdep)"),
        ("WARNING: suspicious RCU usage", "suspicious RCU usage"),
        (
            "BUG: KASAN: slab-use-after-free in vfio_pci_dma_buf_cleanup+0x1a4/0x3c0 [vfio_pci_core]",
            "a KASAN error",
        ),
        (
            "UBSAN: array-index-out-of-bounds in drivers/vfio/pci/vfio_pci_config.c:1744:28",
            "undefined behaviour (UBSAN)",
        ),
        ("refcount_t: underflow; use-after-free.", "a reference count error"),
        ("INFO: task vcpu0:93 blocked for more than 120 seconds.", "a hung task"),
        ("watchdog: BUG: soft lockup - CPU#1 stuck for 26s! [vcpu1:94]", "a soft lockup"),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", "an RCU stall"),
        (
            "list_del corruption. next->prev should be ffff888003a10008, but was dead000000000122",
            "a corrupted list",
        ),
        ("irq 16: nobody cared (try booting with the \"irqpoll\" option)", "an interrupt nobody handles"),
        ("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b", "a panic"),
    ] {
        assert_eq!(sign(line), Some(Sign::Headline(what)), "{line}");
    }
    assert_eq!(sign("Call Trace:"), Some(Sign::Trace));
    assert_eq!(sign("[    T1] Call Trace:"), Some(Sign::Trace));
}

#[test]
fn innocents_are_left_alone() {
    for line in [
        "",
        "[",
        "vfio-pci 0000:00:03.0: resetting",
        "vfio-pci 0000:00:03.0: reset done",
        "DMAR: DRHD: handling fault status reg 2",
        "DMAR: [DMA Write NO_PASID] Request device [00:04.0] fault addr 0xfe000000 [fault reason 0x05] PTE Write access is not set",
        "ACPI BIOS Warning (bug): 32/64X length mismatch in FADT/Gpe0Block: 128/32",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
        "MDS CPU bug present and SMT on, data leak possible",
        "Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar",
        "... MAX_LOCKDEP_SUBCLASSES:  8",
        "\tRCU lockdep checking is enabled.",
        "kasan: KernelAddressSanitizer initialized",
        "mem auto-init: stack:off, heap alloc:off, heap free:off",
        "DEBUG: nothing to see",
        "Kernel command line: console=ttyS0 panic=-1 oops=panic",
        "pci 0000:00:1f.2: BAR 4 [io  0xc040-0xc05f]",
        "Freeing unused kernel image (initmem) memory: 1188K",
        "vfio-pci 0000:00:03.0: timed out waiting for pending transaction; performing function level reset anyway",
    ] {
        assert_eq!(sign(line), None, "{line}");
    }
}

#[test]
fn reports_have_edges() {
    for line in ["------------[ cut here ]------------", "---[ end trace 0000000000000000 ]---", " </TASK>"] {
        assert_eq!(sign(line), Some(Sign::Edge), "{line}");
    }
}
