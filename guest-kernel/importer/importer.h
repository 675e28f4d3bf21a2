/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the test importer, each a file, and what they know of another.
 *
 * Locks, in the order in which they are taken:
 *  1. bki_devices_lock (device.c): which devices there are, and whose they are
 *  2. session.lock: the session's device and its attachments
 *  3. the dma-buf's reservation lock: the mapping of an attachment
 * A notice comes with the last one held, so it takes none of the others.
 */
#ifndef BARKEEP_IMPORTER_PRIVATE_H
#define BARKEEP_IMPORTER_PRIVATE_H

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "barkeep_importer.h"

/* One open file. */
struct bki_session {
	/* Guards all of it. */
	struct mutex lock;
	/* NULL until it is bound, and once the device has been taken away. */
	struct device *dev;
	bool was_bound;
	struct xarray attachments;
};

/* One mapping, in one of the two forms. */
struct bki_mapping {
	u32 form;
	/* BKI_FORM_TABLE */
	struct sg_table *table;
	/* BKI_FORM_RANGE: by @state if that has an IOVA, else by @address. */
	struct dma_iova_state state;
	dma_addr_t address;
	size_t length;
};

/* Everything but the first five is guarded by the reservation lock. */
struct bki_attachment {
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	u32 flags;
	u32 hold_ms;
	enum dma_data_direction direction;

	struct bki_mapping mapping;
	bool mapped;
	bool held;
	bool pinned;
	struct delayed_work let_go;

	u64 notices;
	u64 released;
	u64 faults;
	int in_notice;
	u64 nr_events;
	struct bki_event events[BKI_MAX_EVENTS];
};

/* device.c: the devices that can import */
int bki_devices_register(void);
void bki_devices_unregister(void);
int bki_device_claim(struct bki_session *session, const struct bki_bind *bind);
void bki_device_disclaim(struct bki_session *session);

/* attachment.c: to attach, to be told, to detach */
int bki_attach(struct bki_session *session, struct bki_attach *args);
void bki_attachment_free(struct bki_attachment *one);
void bki_attachments_free(struct bki_session *session);
void bki_event(struct bki_attachment *one, u32 kind, int result);

/* map.c: mappings; all with the reservation lock held */
int bki_map(struct bki_attachment *one, u32 form);
void bki_unmap(struct bki_attachment *one);

/* segments.c: what a mapping is made of; with the reservation lock held */
u64 bki_segments_count(struct bki_attachment *one, bool cut);
u32 bki_segments_fill(struct bki_attachment *one, bool cut, u64 first,
		      struct bki_segment *to, u32 capacity);
dma_addr_t bki_address(struct bki_attachment *one, u64 offset);

#endif /* BARKEEP_IMPORTER_PRIVATE_H */
