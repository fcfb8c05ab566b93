#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include <xtape/autodiff/error.hpp>
#include <xtape/data/dataset.hpp>

namespace xtape::data {
namespace {

std::int64_t rows_of(const char* where, const Tensor& t) {
  if (t.rank() == 0)
    throw ShapeError(where, "a tensor of rank 0 has no rows: needs 1 axis or more");
  return t.shape()[0];
}

// n, when every example has its label.
std::int64_t matching_rows(const char* where, const Dataset& d) {
  const std::int64_t n = rows_of(where, d.inputs);
  if (n != rows_of(where, d.labels)) {
    throw ShapeError(where, "inputs " + d.inputs.shape().str() + " and labels " +
                                d.labels.shape().str() + ": must have as many rows");
  }
  for (const Tensor& t : d.more) {
    if (rows_of(where, t) == n) continue;
    throw ShapeError(where, "inputs " + d.inputs.shape().str() + " and further ones " +
                                t.shape().str() + ": must have as many rows");
  }
  return n;
}

Shape with_rows(Shape shape, std::int64_t rows) {
  shape[0] = rows;
  return shape;
}

std::size_t row_bytes(const Tensor& t) { return Spec{with_rows(t.shape(), 1), t.dtype()}.nbytes(); }

// `into` again when it has the right shape and nobody else sees it, else a new tensor.
Tensor reuse(Tensor into, const Shape& shape, DType dtype) {
  if (into.unique() && into.spec() == Spec{shape, dtype}) return into;
  return Tensor::empty(shape, dtype);
}

// Rows first … first + count − 1 of `t`, copied to `out`.
void copy_range(const Tensor& t, std::int64_t first, std::int64_t count, Tensor& out) {
  const std::size_t bytes = row_bytes(t);
  std::memcpy(out.raw(),
              static_cast<const char*>(t.raw()) + static_cast<std::size_t>(first) * bytes,
              static_cast<std::size_t>(count) * bytes);
}

// The rows of `t` that `rows` names (all in range), copied to `out`.
void copy_rows(const Tensor& t, std::span<const std::int64_t> rows, Tensor& out) {
  const std::size_t bytes = row_bytes(t);
  const auto* from = static_cast<const char*>(t.raw());
  auto* to = static_cast<char*>(out.raw());
  for (const std::int64_t r : rows) {
    std::memcpy(to, from + static_cast<std::size_t>(r) * bytes, bytes);
    to += bytes;
  }
}

void check_rows(const char* where, std::span<const std::int64_t> rows, std::int64_t n) {
  for (const std::int64_t r : rows) {
    if (r >= 0 && r < n) continue;
    throw ValueError(where,
                     "row " + std::to_string(r) + ": there are " + std::to_string(n) + " rows");
  }
}

Tensor take_range(const Tensor& t, std::int64_t first, std::int64_t count) {
  Tensor out = Tensor::empty(with_rows(t.shape(), count), t.dtype());
  copy_range(t, first, count, out);
  return out;
}

}  // namespace

std::int64_t Dataset::size() const { return inputs.defined() ? rows_of("Dataset", inputs) : 0; }

Dataset Dataset::to(DType dtype) const {
  Dataset d = *this;
  d.inputs = inputs.to(dtype);
  for (Tensor& t : d.more) t = is_floating(t.dtype()) ? t.to(dtype) : t;
  if (labels.defined() && is_floating(labels.dtype())) d.labels = labels.to(dtype);
  return d;
}

Dataset Dataset::take(std::int64_t first, std::int64_t count) const {
  const std::int64_t n = matching_rows("Dataset::take", *this);
  if (first < 0 || count < 0 || first > n || count > n - first) {
    throw ValueError("Dataset::take", std::to_string(count) + " rows from row " +
                                          std::to_string(first) + " on: there are " +
                                          std::to_string(n) + " rows");
  }
  Dataset d{take_range(inputs, first, count), take_range(labels, first, count), classes, name,
            class_names};
  for (const Tensor& t : more) d.more.push_back(take_range(t, first, count));
  return d;
}

Dataset Dataset::take(std::span<const std::int64_t> rows) const {
  matching_rows("Dataset::take", *this);
  Dataset d{take_rows(inputs, rows), take_rows(labels, rows), classes, name, class_names};
  for (const Tensor& t : more) d.more.push_back(take_rows(t, rows));
  return d;
}

Tensor Dataset::one_hot(DType dtype) const {
  const std::int64_t n = rows_of("Dataset::one_hot", labels);
  const std::span<const std::int64_t> values = labels.span<std::int64_t>();
  for (const std::int64_t v : values) {
    if (v < 0 || v >= classes) {
      throw ValueError("Dataset::one_hot", "label " + std::to_string(v) + ": must be in 0 to " +
                                               std::to_string(classes - 1));
    }
  }
  Tensor t = Tensor::zeros({n, classes}, dtype);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    auto* row = static_cast<T*>(t.raw());
    for (const std::int64_t v : values) {
      row[v] = T{1};
      row += classes;
    }
  });
  return t;
}

Split split(const Dataset& dataset, double test_fraction, Rng& rng) {
  if (!(test_fraction >= 0 && test_fraction <= 1)) {
    throw ValueError("split",
                     "test_fraction = " + std::to_string(test_fraction) + ": must be in [0, 1]");
  }
  const std::int64_t n = matching_rows("split", dataset);
  const std::int64_t held = std::llround(static_cast<double>(n) * test_fraction);
  const std::vector<std::int64_t> order = rng.permutation(n);
  const std::span<const std::int64_t> rows(order);
  const auto cut = static_cast<std::size_t>(n - held);
  return {dataset.take(rows.first(cut)), dataset.take(rows.subspan(cut))};
}

Tensor take_rows(const Tensor& t, std::span<const std::int64_t> rows) {
  check_rows("take_rows", rows, rows_of("take_rows", t));
  const auto count = static_cast<std::int64_t>(rows.size());
  Tensor out = Tensor::empty(with_rows(t.shape(), count), t.dtype());
  copy_rows(t, rows, out);
  return out;
}

Batches::Batches(const Dataset& dataset, std::int64_t size, Rng* rng)
    : inputs_(dataset.inputs),
      labels_(dataset.labels),
      more_(dataset.more),
      n_(matching_rows("batches", dataset)),
      batch_(size == 0 ? n_ : std::min(size, n_)),
      rng_(rng) {
  if (size < 0) {
    throw ValueError("batches", "batch size " + std::to_string(size) +
                                    ": must be 1 or more, or 0 for all rows at once");
  }
}

Batches::Batches(const Dataset& dataset, std::int64_t size, std::vector<std::int64_t> rows)
    : Batches(dataset, size, nullptr) {
  check_rows("batches", rows, n_);
  n_ = static_cast<std::int64_t>(rows.size());
  batch_ = size == 0 ? n_ : std::min(size, n_);
  rows_ = std::move(rows);
}

std::int64_t Batches::size() const { return n_ == 0 ? 0 : (n_ - 1) / batch_ + 1; }

Batches::iterator::iterator(const Batches& owner) : owner_(&owner) {
  if (owner.rows_) order_ = *owner.rows_;
  if (owner.rng_) order_ = owner.rng_->permutation(owner.n_);
  fill();
}

Batches::iterator& Batches::iterator::operator++() {
  first_ += owner_->batch_;
  fill();
  return *this;
}

void Batches::iterator::fill() {
  const std::int64_t count = std::min(owner_->batch_, owner_->n_ - first_);
  if (count <= 0) return;
  const auto gather = [&](const Tensor& from, Tensor& held) {
    if (order_.empty() && count == owner_->n_) {
      held = from;  // everything as it stands: no copy
      return;
    }
    Tensor out = reuse(std::move(held), with_rows(from.shape(), count), from.dtype());
    if (order_.empty()) {
      copy_range(from, first_, count, out);
    } else {
      copy_rows(from,
                std::span(order_).subspan(static_cast<std::size_t>(first_),
                                          static_cast<std::size_t>(count)),
                out);
    }
    held = std::move(out);
  };
  gather(owner_->inputs_, batch_.inputs);
  gather(owner_->labels_, batch_.labels);
  batch_.more.resize(owner_->more_.size());
  for (std::size_t i = 0; i < batch_.more.size(); ++i) gather(owner_->more_[i], batch_.more[i]);
}

Batches batches(const Dataset& dataset, std::int64_t batch_size, Rng& rng) {
  return Batches(dataset, batch_size, &rng);
}

Batches batches(const Dataset& dataset, std::int64_t batch_size, std::vector<std::int64_t> rows) {
  return Batches(dataset, batch_size, std::move(rows));
}

Batches batches(const Dataset& dataset, std::int64_t batch_size) {
  return Batches(dataset, batch_size, nullptr);
}

}  // namespace xtape::data
