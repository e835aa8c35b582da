/* Every file of this folder that NVRTC is given: FT_SOURCE_OF(name) is <name>.cu,
 * FT_HEADER_OF(name, file) one that sources include. */
#ifndef FT_SOURCE_OF
#    define FT_SOURCE_OF(name)
#endif
#ifndef FT_HEADER_OF
#    define FT_HEADER_OF(name, file)
#endif

FT_SOURCE_OF(upload)
FT_SOURCE_OF(attention_32)
FT_SOURCE_OF(attention_64)
FT_SOURCE_OF(attention_128)
FT_SOURCE_OF(attention_first_32)
FT_SOURCE_OF(attention_first_64)
FT_SOURCE_OF(attention_first_128)
FT_SOURCE_OF(embedding)
FT_SOURCE_OF(linear)
FT_SOURCE_OF(loss)
FT_SOURCE_OF(norm)
FT_SOURCE_OF(optimizer)
FT_SOURCE_OF(pack)
FT_SOURCE_OF(pad)
FT_SOURCE_OF(partials)
FT_SOURCE_OF(rows)

FT_HEADER_OF(common, "common.cuh")
FT_HEADER_OF(types, "types.h")
FT_HEADER_OF(tensor, "tensor.cuh")
FT_HEADER_OF(upload, "upload.h")
FT_HEADER_OF(activation, "activation.cuh")
FT_HEADER_OF(attention, "attention.h")
FT_HEADER_OF(attention_backward, "attention_backward.cuh")
FT_HEADER_OF(attention_first, "attention_first.cuh")
FT_HEADER_OF(attention_forward, "attention_forward.cuh")
FT_HEADER_OF(attention_kernels, "attention_kernels.cuh")
FT_HEADER_OF(attention_tensor, "attention_tensor.cuh")
FT_HEADER_OF(attention_tensor_passes, "attention_tensor_passes.cuh")
FT_HEADER_OF(attention_tiles, "attention_tiles.cuh")
FT_HEADER_OF(embedding, "embedding.h")
FT_HEADER_OF(fours, "fours.cuh")
FT_HEADER_OF(linear, "linear.h")
FT_HEADER_OF(loss, "loss.h")
FT_HEADER_OF(norm, "norm.h")
FT_HEADER_OF(norm_of_rows, "norm.cuh")
FT_HEADER_OF(optimizer, "optimizer.h")
FT_HEADER_OF(pack, "pack.h")
FT_HEADER_OF(pad, "pad.h")
FT_HEADER_OF(partials, "partials.h")
FT_HEADER_OF(rows, "rows.h")
FT_HEADER_OF(sums, "sums.cuh")
FT_HEADER_OF(table, "table.h")
FT_HEADER_OF(table_passes, "table.cuh")

#undef FT_SOURCE_OF
#undef FT_HEADER_OF
