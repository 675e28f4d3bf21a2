// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a mapping is made of: the entries of the exporter's table as they are,
 * or cut to the device's largest segment. Linux does not cut by itself
 * (dma_buf_phys_vec_to_sgt() does not ask for the importer's limit), so an
 * importer with one has to do as is done here.
 */
#include <linux/dma-resv.h>
#include <linux/iommu.h>
#include <linux/scatterlist.h>

#include "importer.h"

/* Calls for every uncut entry, until one says that it is enough. */
static void bki_each_entry(struct bki_attachment *one,
			   bool (*enough)(void *of, u64 address, u64 length),
			   void *of)
{
	struct scatterlist *entry;
	int i;

	dma_resv_assert_held(one->dmabuf->resv);

	if (one->mapping.form == BKI_FORM_RANGE) {
		enough(of, one->mapping.address, one->mapping.length);
		return;
	}
	for_each_sgtable_dma_sg(one->mapping.table, entry, i) {
		if (enough(of, sg_dma_address(entry), sg_dma_len(entry)))
			return;
	}
}

/* Bytes of the largest piece. */
static u64 bki_limit(struct bki_attachment *one, bool cut)
{
	return cut ? dma_get_max_seg_size(one->attach->dev) : U64_MAX;
}

struct bki_counting {
	u64 limit;
	u64 count;
};

static bool bki_count_entry(void *of, u64 address, u64 length)
{
	struct bki_counting *counting = of;

	counting->count += (length - 1) / counting->limit + 1;
	return false;
}

u64 bki_segments_count(struct bki_attachment *one, bool cut)
{
	struct bki_counting counting = { .limit = bki_limit(one, cut) };

	bki_each_entry(one, bki_count_entry, &counting);
	return counting.count;
}

struct bki_filling {
	struct iommu_domain *domain;
	u64 limit;
	u64 skip;
	struct bki_segment *to;
	u32 capacity;
	u32 count;
};

static void bki_fill_one(struct bki_filling *filling, u64 address, u64 length)
{
	u64 physical = 0;

	/* A bus address is none of the IOMMU's, so it leads nowhere there. */
	if (filling->domain)
		physical = iommu_iova_to_phys(filling->domain, address);
	filling->to[filling->count++] = (struct bki_segment){
		.address = address,
		.length = length,
		.physical = physical,
		.kind = physical ? BKI_KIND_IOVA : BKI_KIND_BUS,
	};
}

static bool bki_fill_entry(void *of, u64 address, u64 length)
{
	struct bki_filling *filling = of;
	u64 pieces = (length - 1) / filling->limit + 1;
	u64 done;

	if (filling->skip >= pieces) {
		filling->skip -= pieces;
		return false;
	}
	done = filling->skip ? filling->skip * filling->limit : 0;
	filling->skip = 0;
	while (done < length && filling->count < filling->capacity) {
		u64 piece = min(length - done, filling->limit);

		bki_fill_one(filling, address + done, piece);
		done += piece;
	}
	return filling->count == filling->capacity;
}

u32 bki_segments_fill(struct bki_attachment *one, bool cut, u64 first,
		      struct bki_segment *to, u32 capacity)
{
	struct bki_filling filling = {
		.domain = iommu_get_domain_for_dev(one->attach->dev),
		.limit = bki_limit(one, cut),
		.skip = first,
		.to = to,
		.capacity = capacity,
	};

	bki_each_entry(one, bki_fill_entry, &filling);
	return filling.count;
}

struct bki_finding {
	u64 offset;
	dma_addr_t address;
};

static bool bki_find_entry(void *of, u64 address, u64 length)
{
	struct bki_finding *finding = of;

	if (finding->offset >= length) {
		finding->offset -= length;
		return false;
	}
	finding->address = address + finding->offset;
	return true;
}

dma_addr_t bki_address(struct bki_attachment *one, u64 offset)
{
	struct bki_finding finding = { .offset = offset };

	bki_each_entry(one, bki_find_entry, &finding);
	return finding.address;
}
