// SPDX-License-Identifier: GPL-2.0-only
/*
 * An attachment: made, told to let go, taken apart.
 */
#include <linux/dma-resv.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "importer.h"

MODULE_IMPORT_NS("DMA_BUF");

void bki_event(struct bki_attachment *one, u32 kind, int result)
{
	struct bki_event *event =
		&one->events[one->nr_events++ % BKI_MAX_EVENTS];

	event->time = ktime_get_ns();
	event->kind = kind;
	event->result = result;
}

static void bki_release_mapping(struct bki_attachment *one)
{
	bki_unmap(one);
	one->released++;
	bki_event(one, BKI_EVENT_RELEASED, 0);
}

/*
 * The exporter wants its memory back, or has it ready again: both are the same
 * call. The reservation lock is held, so a mapping can be given up here.
 */
static void bki_notice(struct dma_buf_attachment *attach)
{
	struct bki_attachment *one = attach->importer_priv;

	/* It may come before dma_buf_dynamic_attach() has returned. */
	one->attach = attach;
	one->notices++;
	bki_event(one, BKI_EVENT_NOTICE, 0);

	if (one->mapped && (one->flags & BKI_HOLD)) {
		one->held = true;
		bki_event(one, BKI_EVENT_HELD, 0);
		if (one->hold_ms)
			schedule_delayed_work(&one->let_go,
					      msecs_to_jiffies(one->hold_ms));
		return;
	}
	if (one->mapped)
		bki_release_mapping(one);
	if (one->flags & BKI_MAP_IN_NOTICE) {
		one->in_notice = bki_map(one, BKI_FORM_TABLE);
		bki_event(one, BKI_EVENT_MAPPED, one->in_notice);
	}
}

/* The end of a hold: the exporter has been waiting for it. */
static void bki_let_go(struct work_struct *work)
{
	struct bki_attachment *one =
		container_of(work, struct bki_attachment, let_go.work);

	dma_resv_lock(one->dmabuf->resv, NULL);
	if (one->held)
		bki_release_mapping(one);
	dma_resv_unlock(one->dmabuf->resv);
}

/* Whether peers' memory is welcome, and whether it can be told. */
static const struct dma_buf_attach_ops bki_ops[2][2] = {
	[0][1] = { .invalidate_mappings = bki_notice },
	[1][0] = { .allow_peer2peer = true },
	[1][1] = { .allow_peer2peer = true, .invalidate_mappings = bki_notice },
};

static struct dma_buf_attachment *bki_dma_buf_attach(struct bki_attachment *one,
						     struct device *dev)
{
	bool peer2peer = one->flags & BKI_PEER2PEER;
	bool invalidate = one->flags & BKI_INVALIDATE;

	if (!peer2peer && !invalidate)
		return dma_buf_attach(one->dmabuf, dev);
	return dma_buf_dynamic_attach(one->dmabuf, dev,
				      &bki_ops[peer2peer][invalidate], one);
}

int bki_attach(struct bki_session *session, struct bki_attach *args)
{
	struct bki_attachment *one;
	int ret;

	one = kzalloc_obj(*one);
	if (!one)
		return -ENOMEM;
	one->flags = args->flags;
	one->hold_ms = args->hold_ms;
	one->direction = args->direction;
	INIT_DELAYED_WORK(&one->let_go, bki_let_go);

	one->dmabuf = dma_buf_get(args->fd);
	if (IS_ERR(one->dmabuf)) {
		ret = PTR_ERR(one->dmabuf);
		goto err_free;
	}
	one->attach = bki_dma_buf_attach(one, session->dev);
	if (IS_ERR(one->attach)) {
		ret = PTR_ERR(one->attach);
		goto err_put;
	}
	ret = xa_alloc(&session->attachments, &args->id, one,
		       XA_LIMIT(0, BKI_MAX_ATTACHMENTS - 1), GFP_KERNEL);
	if (ret) {
		ret = ret == -EBUSY ? -ENOSPC : ret;
		goto err_detach;
	}
	args->size = one->dmabuf->size;
	return 0;

err_detach:
	dma_buf_detach(one->dmabuf, one->attach);
err_put:
	dma_buf_put(one->dmabuf);
err_free:
	kfree(one);
	return ret;
}

/* Whatever it still has, it gives up: an exporter may be waiting for that. */
void bki_attachment_free(struct bki_attachment *one)
{
	dma_resv_lock(one->dmabuf->resv, NULL);
	if (one->mapped)
		bki_unmap(one);
	if (one->pinned)
		dma_buf_unpin(one->attach);
	/* A notice from here on must find nothing to hold. */
	one->flags &= ~(BKI_HOLD | BKI_MAP_IN_NOTICE);
	dma_resv_unlock(one->dmabuf->resv);

	dma_buf_detach(one->dmabuf, one->attach);
	/* Its notices are over, and with them whoever could start the work. */
	cancel_delayed_work_sync(&one->let_go);
	dma_buf_put(one->dmabuf);
	kfree(one);
}

void bki_attachments_free(struct bki_session *session)
{
	struct bki_attachment *one;
	unsigned long id;

	xa_for_each(&session->attachments, id, one) {
		xa_erase(&session->attachments, id);
		bki_attachment_free(one);
	}
}
