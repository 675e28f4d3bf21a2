/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What user space says to the test importer, /dev/barkeep-importer.
 *
 * One open file is one session. It binds itself to one PCI device, which is the
 * importing device, and then has attachments to dma-bufs, each with a number.
 * All of them end with the file, at whatever moment it is closed, and with the
 * device, at whatever moment that is taken from the driver.
 *
 * Fields called reserved have to be zero. Addresses and lengths are in bytes,
 * times in nanoseconds of CLOCK_MONOTONIC.
 */
#ifndef BARKEEP_IMPORTER_H
#define BARKEEP_IMPORTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Both the misc device's name and the PCI driver's, for driver_override. */
#define BARKEEP_IMPORTER_NAME "barkeep-importer"

/*
 * The version of all below, which the module tells as its own: modinfo has it of
 * the file, /sys/module/barkeep_importer/version of one that is loaded. It
 * changes with whatever user space may rely on, and a program of another version
 * does not go on (crates/real/src/importer.rs).
 */
#define BARKEEP_IMPORTER_VERSION 1

/* Attachments of one session. */
#define BKI_MAX_ATTACHMENTS 1024
/* What an attachment remembers; older events are gone (see bki_state.events). */
#define BKI_MAX_EVENTS 64
/* Segments that one call tells of. */
#define BKI_MAX_SEGMENTS 1024
/* The longest a mapping may be held of its own accord. */
#define BKI_MAX_HOLD_MS 60000

/**
 * struct bki_bind - choose the importing device
 * @domain: PCI domain
 * @bus: bus number
 * @devfn: device number * 8 + function number
 * @dma_bits: width of the addresses it can give out, 1 to 64
 * @max_segment: its largest segment, a multiple of the page size; 0: no limit
 * @reserved: zero
 *
 * ENODEV: the device is not bound to this driver. EBUSY: another session has it.
 * EALREADY: this session has one. EIO: the platform cannot do that mask.
 */
struct bki_bind {
	__u32 domain;
	__u32 bus;
	__u32 devfn;
	__u32 dma_bits;
	__u32 max_segment;
	__u32 reserved;
};

/* Peers' memory is welcome (dma_buf_attach_ops.allow_peer2peer). */
#define BKI_PEER2PEER		0x1
/* It can be told to let go (dma_buf_attach_ops.invalidate_mappings). */
#define BKI_INVALIDATE		0x2
/* Told to let go, it keeps its mapping, for hold_ms or until it is unmapped. */
#define BKI_HOLD		0x4
/* Told of a move, it tries to map again at once, from inside the notice. */
#define BKI_MAP_IN_NOTICE	0x8

/* As enum dma_data_direction: who may write what. */
#define BKI_BOTH_WAYS		0
#define BKI_TO_DEVICE		1
#define BKI_FROM_DEVICE		2

/**
 * struct bki_attach - attach the device to a dma-buf
 * @fd: the dma-buf
 * @flags: BKI_PEER2PEER and so on; with neither of the first two the
 *	attachment is a static one, as dma_buf_attach() makes it
 * @direction: BKI_BOTH_WAYS, BKI_TO_DEVICE or BKI_FROM_DEVICE
 * @hold_ms: with BKI_HOLD, after how long the mapping is let go of all the
 *	same; 0: when it is unmapped
 * @id: out, the attachment's number
 * @reserved: zero
 * @size: out, bytes of the dma-buf
 *
 * Whatever the exporter's attach says; EBADF and EINVAL for an fd that is none
 * or no dma-buf; ENOSPC for too many.
 */
struct bki_attach {
	__s32 fd;
	__u32 flags;
	__u32 direction;
	__u32 hold_ms;
	__u32 id;
	__u32 reserved;
	__u64 size;
};

/* By the exporter's scatter list (dma_buf_map_attachment). */
#define BKI_FORM_TABLE		0
/*
 * By its physical range and the two-step DMA API (dma_iova_link), without a
 * scatter list. Linux has this interface for iommufd alone so far; see map.c.
 */
#define BKI_FORM_RANGE		1

/**
 * struct bki_map - map an attachment
 * @id: the attachment
 * @form: BKI_FORM_TABLE or BKI_FORM_RANGE
 * @segments: out, entries of the exporter's table, or 1
 * @reserved: zero
 *
 * Whatever the exporter's map says; EEXIST if it is mapped. For BKI_FORM_RANGE
 * EOPNOTSUPP where the kernel or the exporter has no such interface, and
 * EINVAL with BKI_HOLD: nothing would make the exporter wait.
 */
struct bki_map {
	__u32 id;
	__u32 form;
	__u32 segments;
	__u32 reserved;
};

/**
 * struct bki_id - an attachment, for BKI_UNMAP, BKI_DETACH, BKI_PIN, BKI_UNPIN
 * @id: the attachment
 * @reserved: zero
 *
 * ENOENT: there is no such attachment. BKI_UNMAP: ENOLINK if it is not mapped.
 * BKI_PIN: EINVAL for a static attachment, EALREADY; BKI_UNPIN: ENOLINK.
 */
struct bki_id {
	__u32 id;
	__u32 reserved;
};

/* The address is the IOMMU's: it translates it. */
#define BKI_KIND_IOVA		1
/* The address is one on the bus, and no IOMMU stands before it. */
#define BKI_KIND_BUS		2

/**
 * struct bki_segment - one piece of a mapping
 * @address: what the importing device puts on the bus
 * @length: bytes
 * @physical: where the IOMMU leads it, of its first byte; 0 for BKI_KIND_BUS
 * @kind: BKI_KIND_IOVA or BKI_KIND_BUS
 * @reserved: zero
 */
struct bki_segment {
	__u64 address;
	__u64 length;
	__u64 physical;
	__u32 kind;
	__u32 reserved;
};

/* Cut to the device's largest segment: by this importer, not by the kernel. */
#define BKI_CUT			0x1

/**
 * struct bki_segments - read a mapping's segments
 * @id: the attachment
 * @flags: BKI_CUT or 0
 * @first: number of the first one wanted
 * @segments: a pointer to @capacity of struct bki_segment
 * @capacity: room; 0 only counts
 * @count: out, how many were stored, BKI_MAX_SEGMENTS at the most
 * @total: out, how many there are
 *
 * ENOLINK if it is not mapped (any more).
 */
struct bki_segments {
	__u32 id;
	__u32 flags;
	__u64 first;
	__u64 segments;
	__u32 capacity;
	__u32 count;
	__u64 total;
};

/**
 * struct bki_use - use the memory as an RDMA memory region is used
 * @id: the attachment, one with BKI_INVALIDATE
 * @faulted: out, 1 if it had to be mapped for this
 * @offset: of the dma-buf
 * @address: out, what the device would put on the bus for it
 *
 * A mapping that is not there, or not any more, is made: whatever the
 * exporter's map says. EINVAL: beyond the dma-buf, or a static attachment.
 */
struct bki_use {
	__u32 id;
	__u32 faulted;
	__u64 offset;
	__u64 address;
};

/**
 * struct bki_state - what became of an attachment
 * @id: the attachment
 * @mapped: out, 1 or 0
 * @held: out, 1 if it was told to let go and has not yet
 * @pinned: out, 1 or 0
 * @notices: out, how often it was told to let go, or of a move
 * @released: out, how often a mapping was given up because of that
 * @faults: out, how often BKI_USE had to map
 * @in_notice: out, with BKI_MAP_IN_NOTICE the last try's errno, or 0
 * @events: out, events so far; the last BKI_MAX_EVENTS are kept
 */
struct bki_state {
	__u32 id;
	__u32 mapped;
	__u32 held;
	__u32 pinned;
	__u64 notices;
	__u64 released;
	__u64 faults;
	__s32 in_notice;
	__u32 reserved;
	__u64 events;
};

#define BKI_EVENT_MAPPED	1
#define BKI_EVENT_NOTICE	2
#define BKI_EVENT_RELEASED	3
#define BKI_EVENT_HELD		4
#define BKI_EVENT_UNMAPPED	5

/**
 * struct bki_event - something that happened to an attachment
 * @time: when
 * @kind: BKI_EVENT_MAPPED and so on
 * @result: of a try to map, 0 or the errno
 */
struct bki_event {
	__u64 time;
	__u32 kind;
	__s32 result;
};

/**
 * struct bki_events - read what happened, oldest first
 * @id: the attachment
 * @capacity: room
 * @first: number of the first one wanted, as bki_state.events counts
 * @events: a pointer to @capacity of struct bki_event
 * @count: out, how many were stored
 * @reserved: zero
 *
 * ESTALE: the first one wanted is not kept any more.
 */
struct bki_events {
	__u32 id;
	__u32 capacity;
	__u64 first;
	__u64 events;
	__u32 count;
	__u32 reserved;
};

#define BKI_BIND	_IOW('K', 0xe0, struct bki_bind)
#define BKI_ATTACH	_IOWR('K', 0xe1, struct bki_attach)
#define BKI_DETACH	_IOW('K', 0xe2, struct bki_id)
#define BKI_MAP		_IOWR('K', 0xe3, struct bki_map)
#define BKI_UNMAP	_IOW('K', 0xe4, struct bki_id)
#define BKI_SEGMENTS	_IOWR('K', 0xe5, struct bki_segments)
#define BKI_USE		_IOWR('K', 0xe6, struct bki_use)
#define BKI_PIN		_IOW('K', 0xe7, struct bki_id)
#define BKI_UNPIN	_IOW('K', 0xe8, struct bki_id)
#define BKI_STATE	_IOWR('K', 0xe9, struct bki_state)
#define BKI_EVENTS	_IOWR('K', 0xea, struct bki_events)

#endif /* BARKEEP_IMPORTER_H */
