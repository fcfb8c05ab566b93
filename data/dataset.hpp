#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <xtape/autodiff/rng.hpp>
#include <xtape/autodiff/tensor.hpp>

namespace xtape::data {

/// Examples and what they are examples of, row by row.
struct Dataset {
  Tensor inputs;  ///< [n, features...], floating.
  Tensor labels;  ///< [n], i64, in 0…classes − 1; of a regression [n, …], floating.
  std::int64_t classes = 0;  ///< How many different labels there are; 0 of a regression.
  /// Where the examples come from.
  std::string name;
  std::vector<std::string> class_names;  ///< One per class, or none.
  /// What networks of several inputs take behind `inputs`, each [n, …] of any dtype.
  std::vector<Tensor> more = {};

  /// Number of examples, n; 0 without inputs.
  std::int64_t size() const;
  /// The same examples in another floating dtype: inputs, and those of `more` and `labels` that are
  /// floating; i64 labels stay as they are.
  Dataset to(DType dtype) const;
  /// A copy of rows first … first + count − 1. @throws ValueError unless they are all there.
  Dataset take(std::int64_t first, std::int64_t count) const;
  /// A copy of `rows`, in that order. @throws ValueError when one is out of range.
  Dataset take(std::span<const std::int64_t> rows) const;
  /// [n, classes]: 1 where the column is the row's label, else 0.
  /// @throws ValueError for a label outside 0…classes − 1. @throws DTypeError unless labels are
  /// i64.
  Tensor one_hot(DType dtype = f32) const;
};

/// Examples to learn from and examples to judge by.
struct Split {
  Dataset train;  ///< To learn from.
  Dataset test;   ///< To judge by.
};

/// Deals the examples out at random: round(n · test_fraction) of them to `test`, the others to
/// `train`. The same generator state gives the same split.
/// @throws ValueError unless 0 ≤ test_fraction ≤ 1.
/// @throws ShapeError when inputs and labels differ in rows.
Split split(const Dataset& dataset, double test_fraction, Rng& rng);

/// [k, features...]: the k `rows` of `t` [n, features...] in that order, each as often as it
/// stands. Any dtype.
/// @throws ShapeError for rank 0. @throws ValueError for a row outside 0…n − 1.
Tensor take_rows(const Tensor& t, std::span<const std::int64_t> rows);

/// A few examples at once.
struct Batch {
  Tensor inputs;                  ///< [k, features...]
  Tensor labels;                  ///< [k]
  std::vector<Tensor> more = {};  ///< As Dataset::more, [k, …] each.
  /// `auto& [inputs, labels] = batch` leaves the further inputs out.
  template <std::size_t I>
  Tensor& get() {
    return I == 0 ? inputs : labels;
  }
  /// As above.
  template <std::size_t I>
  const Tensor& get() const {
    return I == 0 ? inputs : labels;
  }
};

/// The batches of one epoch, for a range-for loop; see batches().
class Batches {
 public:
  /// @throws ShapeError when inputs (also those of `more`) and labels differ in rows.
  /// @throws ValueError when `size` < 0.
  Batches(const Dataset& dataset, std::int64_t size, Rng* rng);
  /// Of these rows in this order. @throws the same, and ValueError for a row out of range.
  Batches(const Dataset& dataset, std::int64_t size, std::vector<std::int64_t> rows);

  /// Gathers one batch after another into tensors that it holds. Their memory is used again for
  /// the next batch unless someone kept a handle, who then keeps unchanged values.
  class iterator {
   public:
    /// For the standard library.
    using value_type = Batch;
    /// For the standard library.
    using difference_type = std::ptrdiff_t;

    /// Begins an epoch of `owner`, which must stay.
    explicit iterator(const Batches& owner);
    /// The present batch.
    Batch& operator*() const { return batch_; }
    /// The present batch.
    Batch* operator->() const { return &batch_; }
    /// Gathers the next batch.
    iterator& operator++();
    /// Gathers the next batch.
    void operator++(int) { ++*this; }
    /// True when no batch is left.
    bool operator==(std::default_sentinel_t) const { return first_ >= owner_->n_; }

   private:
    void fill();

    const Batches* owner_;
    std::vector<std::int64_t> order_;  // used unless all rows come as they stand
    std::int64_t first_ = 0;
    mutable Batch batch_;
  };

  /// Starts an epoch: with a generator, draws a new order from it. Lives as long as this object.
  iterator begin() const { return iterator(*this); }
  /// Past the last batch.
  std::default_sentinel_t end() const { return {}; }
  /// How many batches there are: n / batch size, rounded up.
  std::int64_t size() const;

 private:
  Tensor inputs_, labels_;
  std::vector<Tensor> more_;
  std::int64_t n_, batch_;
  Rng* rng_;
  std::optional<std::vector<std::int64_t>> rows_;
};

/// Every example once, in random order, `batch_size` at a time; the last batch has what is left.
/// A batch size of 0, or n and more, gives one batch of everything.
///
///     for (auto& [images, labels] : data::batches(train, 64, rng)) { … }
///
/// Shares the examples, so `dataset` may go; `rng` must stay. Each begin() draws another order.
/// @throws ValueError for a negative batch size.
/// @throws ShapeError when inputs and labels differ in rows.
Batches batches(const Dataset& dataset, std::int64_t batch_size, Rng& rng);
/// The same in the order of the dataset.
Batches batches(const Dataset& dataset, std::int64_t batch_size);
/// The same for these rows in this order, each as often as it stands: what a Sampler has drawn.
/// @throws ValueError for a row out of range, too.
Batches batches(const Dataset& dataset, std::int64_t batch_size, std::vector<std::int64_t> rows);

}  // namespace xtape::data

/// @cond
// For structured bindings of a Batch.
template <>
struct std::tuple_size<xtape::data::Batch> : std::integral_constant<std::size_t, 2> {};
template <std::size_t I>
struct std::tuple_element<I, xtape::data::Batch> {
  using type = xtape::Tensor;
};
/// @endcond
