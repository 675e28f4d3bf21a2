// SPDX-License-Identifier: GPL-2.0-only
/*
 * The devices that can import: PCI functions that were given to this driver by
 * driver_override. Being their driver is what makes them the kernel's own for
 * DMA: the IOMMU's default domain is theirs, and vfio cannot have them or one of
 * their group at the same time.
 */
#include "importer.h"

struct bki_device {
	struct list_head list;
	struct pci_dev *pdev;
	struct bki_session *session;
};

static DEFINE_MUTEX(bki_devices_lock);
static LIST_HEAD(bki_devices);

static struct bki_device *bki_device_find(const struct bki_bind *bind)
{
	struct bki_device *device;

	list_for_each_entry(device, &bki_devices, list) {
		struct pci_dev *pdev = device->pdev;

		if (pci_domain_nr(pdev->bus) == bind->domain &&
		    pdev->bus->number == bind->bus && pdev->devfn == bind->devfn)
			return device;
	}
	return NULL;
}

int bki_device_claim(struct bki_session *session, const struct bki_bind *bind)
{
	struct bki_device *device;
	int ret;

	guard(mutex)(&bki_devices_lock);
	guard(mutex)(&session->lock);

	if (session->was_bound)
		return -EALREADY;
	device = bki_device_find(bind);
	if (!device)
		return -ENODEV;
	if (device->session)
		return -EBUSY;

	/* Both are the device's, which is why a session has it to itself. */
	ret = dma_set_mask_and_coherent(&device->pdev->dev,
					DMA_BIT_MASK(bind->dma_bits));
	if (ret)
		return ret;
	dma_set_max_seg_size(&device->pdev->dev, bind->max_segment ?: UINT_MAX);

	device->session = session;
	session->dev = &device->pdev->dev;
	session->was_bound = true;
	return 0;
}

/* Needs bki_devices_lock. Afterwards nothing of the session knows the device. */
static void bki_device_part(struct bki_device *device)
{
	struct bki_session *session = device->session;

	if (!session)
		return;
	mutex_lock(&session->lock);
	bki_attachments_free(session);
	session->dev = NULL;
	mutex_unlock(&session->lock);
	device->session = NULL;
}

void bki_device_disclaim(struct bki_session *session)
{
	struct bki_device *device;

	guard(mutex)(&bki_devices_lock);
	list_for_each_entry(device, &bki_devices, list) {
		if (device->session == session)
			bki_device_part(device);
	}
}

static int bki_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct bki_device *device;
	int ret;

	device = devm_kzalloc(&pdev->dev, sizeof(*device), GFP_KERNEL);
	if (!device)
		return -ENOMEM;
	/* What user space tells it to do through its BAR reaches the bus only so. */
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	pci_set_master(pdev);

	device->pdev = pdev;
	pci_set_drvdata(pdev, device);
	guard(mutex)(&bki_devices_lock);
	list_add(&device->list, &bki_devices);
	return 0;
}

static void bki_remove(struct pci_dev *pdev)
{
	struct bki_device *device = pci_get_drvdata(pdev);

	/* No more DMA before its mappings go. */
	pci_clear_master(pdev);
	guard(mutex)(&bki_devices_lock);
	bki_device_part(device);
	list_del(&device->list);
}

/* No IDs: it takes only what it is given by name. */
static struct pci_driver bki_driver = {
	.name = BARKEEP_IMPORTER_NAME,
	.probe = bki_probe,
	.remove = bki_remove,
};

int bki_devices_register(void)
{
	return pci_register_driver(&bki_driver);
}

void bki_devices_unregister(void)
{
	pci_unregister_driver(&bki_driver);
}
