#include <xtape/autodiff/kernels/elementwise.hpp>
#include <xtape/autodiff/kernels/strided.hpp>

namespace xtape::kernels {
namespace {

constexpr std::size_t kMaxInputs = 3;

}  // namespace

void elementwise(const KernelArgs& args) {
  const std::size_t inputs = args.in.size();
  const std::int64_t n = args.spec.shape.size();
  if (n == 0) return;
  std::array<const void*, kMaxInputs> data{};
  std::array<std::int64_t, kMaxInputs> step{};
  BlockArgs block{args.out,  data.data(), step.data(), n, args.in[inputs - 1].spec->dtype,
                  args.attrs};
  bool flat = true;
  for (std::size_t k = 0; k < inputs; ++k) {
    const std::int64_t size = args.in[k].spec->shape.size();
    data[k] = args.in[k].data;
    step[k] = size != 1;
    flat &= size == n || size == 1;
  }
  if (flat) return args.op.block(block);

  std::array<Strides, kMaxInputs + 1> strides{};
  for (std::size_t k = 0; k < inputs; ++k) {
    strides[k] = broadcast_strides(args.in[k].spec->shape, args.spec.shape);
  }
  strides[kMaxInputs] = row_major(args.spec.shape);
  const StridedLoop<kMaxInputs + 1> loop(args.spec.shape, strides);
  block.n = loop.inner();
  std::array<std::size_t, kMaxInputs> bytes{};
  for (std::size_t k = 0; k < inputs; ++k) {
    step[k] = loop.inner_stride(k);
    bytes[k] = size_of(args.in[k].spec->dtype);
  }
  const std::size_t out_bytes = size_of(args.spec.dtype);
  loop.each([&](const auto& offset) {
    for (std::size_t k = 0; k < inputs; ++k) {
      data[k] = static_cast<const char*>(args.in[k].data) +
                static_cast<std::size_t>(offset[k]) * bytes[k];
    }
    block.out =
        static_cast<char*>(args.out) + static_cast<std::size_t>(offset[kMaxInputs]) * out_bytes;
    args.op.block(block);
  });
}

}  // namespace xtape::kernels
