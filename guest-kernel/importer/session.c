// SPDX-License-Identifier: GPL-2.0-only
/*
 * Barkeep's test importer: /dev/barkeep-importer.
 *
 * An importer of dma-bufs that user space can drive step by step, to see what an
 * exporter does: attach in every way there is, map, look, unmap, be told to let
 * go and do so at once, late or when told. It is for kernels under test, and for
 * nothing else: whoever can open it can hold a device's reset up.
 *
 * This file is the file operations: arguments are looked at here, and everything
 * below can rely on them.
 */
#include <linux/dma-resv.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/stringify.h>
#include <linux/uaccess.h>

#include "importer.h"

MODULE_DESCRIPTION("Importer of dma-bufs, driven from user space, for tests");
MODULE_LICENSE("GPL");
MODULE_VERSION(__stringify(BARKEEP_IMPORTER_VERSION));

/*
 * What an ioctl gives besides its argument. It is copied with no lock held: user
 * space may have it put where a fault needs the exporter, which may be waiting
 * for an importer, which needs these locks to let go.
 */
struct bki_copy {
	void *data;
	void __user *to;
	size_t bytes;
};

static struct bki_attachment *bki_find(struct bki_session *session, u32 id)
{
	return xa_load(&session->attachments, id) ?: ERR_PTR(-ENOENT);
}

/* Finds an attachment and takes its lock; what it gives may be an error. */
static struct bki_attachment *bki_lock(struct bki_session *session, u32 id)
{
	struct bki_attachment *one = bki_find(session, id);
	int ret;

	if (IS_ERR(one))
		return one;
	/* An exporter may be waiting for a fence with it held, for ever. */
	ret = dma_resv_lock_interruptible(one->dmabuf->resv, NULL);
	return ret ? ERR_PTR(ret) : one;
}

static void bki_unlock(struct bki_attachment *one)
{
	dma_resv_unlock(one->dmabuf->resv);
}

static int bki_do_bind(struct bki_session *session, struct bki_bind *args)
{
	if (args->reserved || !args->dma_bits || args->dma_bits > 64 ||
	    args->devfn > 0xff || args->bus > 0xff ||
	    !PAGE_ALIGNED(args->max_segment))
		return -EINVAL;
	return bki_device_claim(session, args);
}

static int bki_do_attach(struct bki_session *session, struct bki_attach *args)
{
	u32 known = BKI_PEER2PEER | BKI_INVALIDATE | BKI_HOLD | BKI_MAP_IN_NOTICE;
	u32 of_notices = BKI_HOLD | BKI_MAP_IN_NOTICE;

	if (args->reserved || args->flags & ~known ||
	    args->direction > BKI_FROM_DEVICE || args->hold_ms > BKI_MAX_HOLD_MS)
		return -EINVAL;
	if (args->hold_ms && !(args->flags & BKI_HOLD))
		return -EINVAL;
	/* Nobody who is not told can do anything when told, nor both at once. */
	if (args->flags & of_notices && !(args->flags & BKI_INVALIDATE))
		return -EINVAL;
	if ((args->flags & of_notices) == of_notices)
		return -EINVAL;
	return bki_attach(session, args);
}

static int bki_do_detach(struct bki_session *session, struct bki_id *args)
{
	struct bki_attachment *one;

	if (args->reserved)
		return -EINVAL;
	one = bki_find(session, args->id);
	if (IS_ERR(one))
		return PTR_ERR(one);
	xa_erase(&session->attachments, args->id);
	bki_attachment_free(one);
	return 0;
}

static int bki_do_map(struct bki_session *session, struct bki_map *args)
{
	struct bki_attachment *one;
	int ret = -EEXIST;

	if (args->reserved || args->form > BKI_FORM_RANGE)
		return -EINVAL;
	one = bki_lock(session, args->id);
	if (IS_ERR(one))
		return PTR_ERR(one);
	if (args->form == BKI_FORM_RANGE &&
	    (one->flags & BKI_HOLD || !(one->flags & BKI_INVALIDATE))) {
		ret = -EINVAL;
	} else if (!one->mapped) {
		ret = bki_map(one, args->form);
		bki_event(one, BKI_EVENT_MAPPED, ret);
	}
	if (!ret)
		args->segments = bki_segments_count(one, false);
	bki_unlock(one);
	return ret;
}

static int bki_do_unmap(struct bki_session *session, struct bki_id *args)
{
	struct bki_attachment *one;
	int ret = -ENOLINK;

	if (args->reserved)
		return -EINVAL;
	one = bki_lock(session, args->id);
	if (IS_ERR(one))
		return PTR_ERR(one);
	if (one->mapped) {
		bki_unmap(one);
		bki_event(one, BKI_EVENT_UNMAPPED, 0);
		ret = 0;
	}
	bki_unlock(one);
	return ret;
}

static int bki_do_segments(struct bki_session *session,
			   struct bki_segments *args, struct bki_copy *out)
{
	u32 room = min_t(u32, args->capacity, BKI_MAX_SEGMENTS);
	bool cut = args->flags & BKI_CUT;
	struct bki_segment *segments;
	struct bki_attachment *one;

	if (args->flags & ~BKI_CUT)
		return -EINVAL;
	segments = kvcalloc(room, sizeof(*segments), GFP_KERNEL);
	if (!segments)
		return -ENOMEM;
	out->data = segments;
	out->to = u64_to_user_ptr(args->segments);

	one = bki_lock(session, args->id);
	if (IS_ERR(one))
		return PTR_ERR(one);
	if (!one->mapped) {
		bki_unlock(one);
		return -ENOLINK;
	}
	args->total = bki_segments_count(one, cut);
	args->count = bki_segments_fill(one, cut, args->first, segments, room);
	bki_unlock(one);
	out->bytes = args->count * sizeof(*segments);
	return 0;
}

static int bki_do_use(struct bki_session *session, struct bki_use *args)
{
	struct bki_attachment *one;
	int ret = 0;

	one = bki_lock(session, args->id);
	if (IS_ERR(one))
		return PTR_ERR(one);
	args->faulted = 0;
	if (!(one->flags & BKI_INVALIDATE) || args->offset >= one->dmabuf->size) {
		ret = -EINVAL;
	} else if (!one->mapped) {
		ret = bki_map(one, BKI_FORM_TABLE);
		bki_event(one, BKI_EVENT_MAPPED, ret);
		one->faults++;
		args->faulted = 1;
	}
	if (!ret)
		args->address = bki_address(one, args->offset);
	bki_unlock(one);
	return ret;
}

static int bki_do_pin(struct bki_session *session, struct bki_id *args)
{
	struct bki_attachment *one;
	int ret;

	if (args->reserved)
		return -EINVAL;
	one = bki_lock(session, args->id);
	if (IS_ERR(one))
		return PTR_ERR(one);
	if (!one->attach->importer_ops)
		ret = -EINVAL;
	else if (one->pinned)
		ret = -EALREADY;
	else
		ret = dma_buf_pin(one->attach);
	if (!ret)
		one->pinned = true;
	bki_unlock(one);
	return ret;
}

static int bki_do_unpin(struct bki_session *session, struct bki_id *args)
{
	struct bki_attachment *one;
	int ret = -ENOLINK;

	if (args->reserved)
		return -EINVAL;
	one = bki_lock(session, args->id);
	if (IS_ERR(one))
		return PTR_ERR(one);
	if (one->pinned) {
		dma_buf_unpin(one->attach);
		one->pinned = false;
		ret = 0;
	}
	bki_unlock(one);
	return ret;
}

static int bki_do_state(struct bki_session *session, struct bki_state *args)
{
	struct bki_attachment *one = bki_lock(session, args->id);

	if (IS_ERR(one))
		return PTR_ERR(one);
	*args = (struct bki_state){
		.id = args->id,
		.mapped = one->mapped,
		.held = one->held,
		.pinned = one->pinned,
		.notices = one->notices,
		.released = one->released,
		.faults = one->faults,
		.in_notice = -one->in_notice,
		.events = one->nr_events,
	};
	bki_unlock(one);
	return 0;
}

static int bki_do_events(struct bki_session *session, struct bki_events *args,
			 struct bki_copy *out)
{
	struct bki_attachment *one;
	struct bki_event *events;
	u32 i;

	if (args->reserved)
		return -EINVAL;
	events = kvcalloc(BKI_MAX_EVENTS, sizeof(*events), GFP_KERNEL);
	if (!events)
		return -ENOMEM;
	out->data = events;
	out->to = u64_to_user_ptr(args->events);

	one = bki_lock(session, args->id);
	if (IS_ERR(one))
		return PTR_ERR(one);
	if (args->first + BKI_MAX_EVENTS < one->nr_events) {
		bki_unlock(one);
		return -ESTALE;
	}
	for (i = 0; i < args->capacity && args->first + i < one->nr_events; i++)
		events[i] = one->events[(args->first + i) % BKI_MAX_EVENTS];
	bki_unlock(one);
	args->count = i;
	out->bytes = i * sizeof(*events);
	return 0;
}

union bki_args {
	struct bki_bind bind;
	struct bki_attach attach;
	struct bki_map map;
	struct bki_id id;
	struct bki_segments segments;
	struct bki_use use;
	struct bki_state state;
	struct bki_events events;
};

/* With the session's lock held, and a device. */
static int bki_dispatch(struct bki_session *session, unsigned int cmd,
			union bki_args *args, struct bki_copy *out)
{
	switch (cmd) {
	case BKI_ATTACH:
		return bki_do_attach(session, &args->attach);
	case BKI_DETACH:
		return bki_do_detach(session, &args->id);
	case BKI_MAP:
		return bki_do_map(session, &args->map);
	case BKI_UNMAP:
		return bki_do_unmap(session, &args->id);
	case BKI_SEGMENTS:
		return bki_do_segments(session, &args->segments, out);
	case BKI_USE:
		return bki_do_use(session, &args->use);
	case BKI_PIN:
		return bki_do_pin(session, &args->id);
	case BKI_UNPIN:
		return bki_do_unpin(session, &args->id);
	case BKI_STATE:
		return bki_do_state(session, &args->state);
	case BKI_EVENTS:
		return bki_do_events(session, &args->events, out);
	default:
		return -ENOTTY;
	}
}

static long bki_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct bki_session *session = file->private_data;
	void __user *user = (void __user *)arg;
	size_t size = _IOC_SIZE(cmd);
	struct bki_copy out = {};
	union bki_args args;
	int ret;

	if (_IOC_TYPE(cmd) != 'K' || size > sizeof(args))
		return -ENOTTY;
	if (copy_from_user(&args, user, size))
		return -EFAULT;

	if (cmd == BKI_BIND)
		return bki_do_bind(session, &args.bind);

	ret = mutex_lock_interruptible(&session->lock);
	if (ret)
		return ret;
	/* ENODEV: not bound yet, or the device was taken away. */
	ret = session->dev ? bki_dispatch(session, cmd, &args, &out) : -ENODEV;
	mutex_unlock(&session->lock);

	if (!ret && copy_to_user(out.to, out.data, out.bytes))
		ret = -EFAULT;
	kvfree(out.data);
	if (!ret && _IOC_DIR(cmd) & _IOC_READ && copy_to_user(user, &args, size))
		ret = -EFAULT;
	return ret;
}

static int bki_open(struct inode *inode, struct file *file)
{
	struct bki_session *session;

	session = kzalloc_obj(*session);
	if (!session)
		return -ENOMEM;
	mutex_init(&session->lock);
	xa_init_flags(&session->attachments, XA_FLAGS_ALLOC);
	file->private_data = session;
	return nonseekable_open(inode, file);
}

static int bki_close(struct inode *inode, struct file *file)
{
	struct bki_session *session = file->private_data;

	bki_device_disclaim(session);
	xa_destroy(&session->attachments);
	kfree(session);
	return 0;
}

static const struct file_operations bki_file_operations = {
	.owner = THIS_MODULE,
	.open = bki_open,
	.release = bki_close,
	.unlocked_ioctl = bki_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice bki_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = BARKEEP_IMPORTER_NAME,
	.fops = &bki_file_operations,
	.mode = 0600,
};

static int __init bki_init(void)
{
	int ret = bki_devices_register();

	if (ret)
		return ret;
	ret = misc_register(&bki_misc);
	if (ret)
		bki_devices_unregister();
	return ret;
}

static void __exit bki_exit(void)
{
	misc_deregister(&bki_misc);
	bki_devices_unregister();
}

module_init(bki_init);
module_exit(bki_exit);
