// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping and unmapping, in two forms.
 *
 * BKI_FORM_TABLE is what every importer has: the exporter maps, and gives a
 * scatter list of DMA addresses.
 *
 * BKI_FORM_RANGE is what the review of the first patches asked for: the exporter
 * gives the physical range, and the importer maps it by the two-step DMA API, no
 * scatter list in between. As of Linux 7.3 the DMA API is there for everybody,
 * the way to the range only for iommufd: vfio_pci_dma_buf_iommufd_map() is
 * exported to that module by name. A test may ask for it all the same, at run
 * time, and stands under the same terms: one range, and a notice ends it there
 * and then, because the exporter does not wait for such a mapping. Nor does it
 * ask whether peer-to-peer DMA is possible (pci_p2pdma_map_type): the provider
 * to ask about is not told.
 */
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/scatterlist.h>

#include "importer.h"

int vfio_pci_dma_buf_iommufd_map(struct dma_buf_attachment *attachment,
				 struct phys_vec *phys);

static int bki_physical(struct bki_attachment *one, struct phys_vec *phys)
{
	int (*map)(struct dma_buf_attachment *attachment, struct phys_vec *phys);
	int ret;

	map = symbol_get(vfio_pci_dma_buf_iommufd_map);
	if (!map)
		return -EOPNOTSUPP;
	ret = map(one->attach, phys);
	symbol_put(vfio_pci_dma_buf_iommufd_map);
	return ret;
}

static int bki_map_range(struct bki_attachment *one)
{
	struct bki_mapping *mapping = &one->mapping;
	struct device *dev = one->attach->dev;
	struct phys_vec phys;
	int ret;

	ret = bki_physical(one, &phys);
	if (ret)
		return ret;
	mapping->length = phys.len;

	if (!dma_iova_try_alloc(dev, &mapping->state, phys.paddr, phys.len)) {
		mapping->address = dma_map_phys(dev, phys.paddr, phys.len,
						one->direction, DMA_ATTR_MMIO);
		return dma_mapping_error(dev, mapping->address);
	}
	ret = dma_iova_link(dev, &mapping->state, phys.paddr, 0, phys.len,
			    one->direction, DMA_ATTR_MMIO);
	if (ret) {
		dma_iova_free(dev, &mapping->state);
		return ret;
	}
	ret = dma_iova_sync(dev, &mapping->state, 0, phys.len);
	if (ret) {
		dma_iova_destroy(dev, &mapping->state, phys.len, one->direction,
				 DMA_ATTR_MMIO);
		return ret;
	}
	mapping->address = mapping->state.addr;
	return 0;
}

static int bki_map_table(struct bki_attachment *one)
{
	struct sg_table *table;

	table = dma_buf_map_attachment(one->attach, one->direction);
	if (IS_ERR(table))
		return PTR_ERR(table);
	one->mapping.table = table;
	one->mapping.length = one->dmabuf->size;
	return 0;
}

int bki_map(struct bki_attachment *one, u32 form)
{
	int ret;

	dma_resv_assert_held(one->dmabuf->resv);

	one->mapping = (struct bki_mapping){ .form = form };
	ret = form == BKI_FORM_TABLE ? bki_map_table(one) : bki_map_range(one);
	if (!ret)
		one->mapped = true;
	return ret;
}

void bki_unmap(struct bki_attachment *one)
{
	struct bki_mapping *mapping = &one->mapping;
	struct device *dev = one->attach->dev;

	dma_resv_assert_held(one->dmabuf->resv);

	if (mapping->form == BKI_FORM_TABLE)
		dma_buf_unmap_attachment(one->attach, mapping->table,
					 one->direction);
	else if (dma_use_iova(&mapping->state))
		dma_iova_destroy(dev, &mapping->state, mapping->length,
				 one->direction, DMA_ATTR_MMIO);
	else
		dma_unmap_phys(dev, mapping->address, mapping->length,
			       one->direction, DMA_ATTR_MMIO);
	one->mapped = false;
	one->held = false;
}
