#include "data_support.hpp"
#include "support.hpp"

// Metrics against values worked out by hand.
namespace xtape {
namespace {

using test::ints;

constexpr double kExact = 1e-14;

// A metric fed in two parts.
double in_parts(fit::Metric& metric, const Tensor& outputs, const Tensor& targets,
                std::int64_t cut) {
  const auto part = [&](std::int64_t from, std::int64_t to) {
    metric.add(slice(outputs, 0, {from, to}).value(), slice(targets, 0, {from, to}).value());
  };
  metric.reset();
  part(0, cut);
  part(cut, targets.shape()[0]);
  return metric.value();
}

// Classes 0, 0, 1, 1, 1, 2 are taken for 0, 1, 1, 1, 0, 1.
const Tensor& six_outputs() {
  static const Tensor y{{.7, .2, .1}, {.1, .8, .1}, {.2, .5, .3},
                        {.3, .6, .1}, {.5, .3, .2}, {.1, .6, .3}};
  return y;
}
Tensor six_labels() { return ints({0, 0, 1, 1, 1, 2}); }

}  // namespace

TEST_CASE("accuracies count rows whose label is among the largest", "[fit][metrics]") {
  fit::Accuracy one, two(2), three(3);
  CHECK(one.name() == "accuracy");
  CHECK(two.name() == "top2_accuracy");
  for (const std::int64_t cut : {1, 3, 5}) {
    CHECK(in_parts(one, six_outputs(), six_labels(), cut) == Approx(3. / 6).epsilon(kExact));
    CHECK(in_parts(two, six_outputs(), six_labels(), cut) == 1);
    CHECK(in_parts(three, six_outputs(), six_labels(), cut) == 1);
  }
  CHECK(fit::top_accuracy(six_outputs(), six_labels(), 1) ==
        nn::accuracy(six_outputs(), six_labels()));
  // Of equal elements the first counts as larger.
  const Tensor equal{{.5, .5, .5}, {.5, .5, .5}};
  CHECK(fit::top_accuracy(equal, ints({0, 2}), 1) == .5);
  CHECK(fit::top_accuracy(equal, ints({1, 2}), 2) == .5);
  // One column is the probability of class 1.
  one.reset();
  one.add(Tensor{.2, .9, .7}, ints({0, 1, 0}));
  CHECK(one.value() == Approx(2. / 3).epsilon(kExact));
  one.reset();
  REQUIRE_ERROR(one.value(), ValueError, "0 examples");
  REQUIRE_ERROR(fit::Accuracy(0), ValueError, "k 0");
  REQUIRE_ERROR(fit::top_accuracy(equal, ints({0, 1}), 4), ValueError, "k 4: must be in [1, 3]");
  REQUIRE_ERROR(fit::top_accuracy(equal, ints({0, 3}), 1), ValueError, "label 3 of row 1");
  REQUIRE_ERROR(fit::top_accuracy(equal, ints({0}), 1), ShapeError, "[n, classes] and [n]");
  REQUIRE_ERROR(fit::top_accuracy(equal, Tensor{0, 1}, 1), DTypeError, "must be i64");
  REQUIRE_ERROR(fit::top_accuracy(Tensor{{NAN, 1.}}, ints({0}), 1), ValueError, "NaN");
}

TEST_CASE("a confusion matrix tells precision, recall and F1", "[fit][metrics]") {
  fit::ConfusionMatrix macro(3), micro(3, fit::Average::micro);
  CHECK(macro.name() == "macro_f1");
  // Class 0: right 1, taken 2, there 2. Class 1: 2 of 4 taken, 3 there. Class 2: never taken.
  const double f1[] = {2. * 1 / 4, 2. * 2 / 7, 0};
  const double expected = (f1[0] + f1[1] + f1[2]) / 3;
  CHECK(in_parts(macro, six_outputs(), six_labels(), 2) == Approx(expected).epsilon(kExact));
  CHECK(in_parts(micro, six_outputs(), six_labels(), 4) == .5);
  CHECK(macro.counts() == fit::Counts{{1, 1, 0}, {1, 2, 0}, {0, 1, 0}});
  const std::vector<fit::ClassScores> s = fit::class_scores(macro.counts());
  CHECK(s[0].precision == .5);
  CHECK(s[0].recall == .5);
  CHECK(s[1].precision == .5);
  CHECK(s[1].recall == Approx(2. / 3).epsilon(kExact));
  CHECK(s[1].f1 == Approx(f1[1]).epsilon(kExact));
  CHECK((s[2].precision == 0 && s[2].recall == 0 && s[2].f1 == 0 && s[2].support == 1));
  macro.reset();
  CHECK(macro.counts() == fit::Counts(3, std::vector<std::int64_t>(3)));
  REQUIRE_ERROR(macro.value(), ValueError, "0 examples");
}

TEST_CASE("a class that neither occurs nor is predicted has no part in macro F1",
          "[fit][metrics]") {
  CHECK(fit::macro_f1({{2, 0, 0}, {0, 3, 0}, {0, 0, 0}}) == 1);
  // Never there, but predicted once: its F1 of 0 counts.
  CHECK(fit::macro_f1({{2, 0, 1}, {0, 3, 0}, {0, 0, 0}}) ==
        Approx((2. * 2 / 5 + 1 + 0) / 3).epsilon(kExact));
  CHECK(fit::micro_f1({{2, 0, 1}, {0, 3, 0}, {0, 0, 0}}) == Approx(5. / 6).epsilon(kExact));
  REQUIRE_ERROR(fit::class_scores({{1, 2}, {3}}), ShapeError, "row 1 has 1 counts for 2 classes");
  REQUIRE_ERROR(fit::ConfusionMatrix(0), ValueError, "needs 1 or more");
  fit::ConfusionMatrix small(2);
  REQUIRE_ERROR(small.add(six_outputs(), six_labels()), ValueError, "must be in [0, 2)");
  CHECK(small.counts() == fit::Counts{{0, 0}, {0, 0}});
}

TEST_CASE("errors of regressions are means over all elements", "[fit][metrics]") {
  const Tensor y{{1., 2.}, {3., 5.}, {0., -1.}}, t{{1., 0.}, {6., 5.}, {1., -1.}};
  // Differences 0, 2, −3, 0, −1, 0.
  CHECK(fit::mean_absolute_error(y, t) == Approx(1).epsilon(kExact));
  CHECK(fit::mean_squared_error(y, t) == Approx(14. / 6).epsilon(kExact));
  CHECK(fit::root_mean_squared_error(y, t) == Approx(std::sqrt(14. / 6)).epsilon(kExact));
  CHECK(fit::mean_absolute_error(y.to(f32), t.to(f32)) == Approx(1).epsilon(kExact));
  for (const std::int64_t cut : {0, 1, 2}) {
    fit::MeanError mae(fit::MeanError::absolute), rmse(fit::MeanError::root_squared);
    CHECK(in_parts(mae, y, t, cut) == Approx(1).epsilon(kExact));
    CHECK(in_parts(rmse, y, t, cut) == Approx(std::sqrt(14. / 6)).epsilon(kExact));
  }
  REQUIRE_ERROR(fit::mean_squared_error(y, t.to(f32)), DTypeError, "must both be f32");
  REQUIRE_ERROR(fit::mean_squared_error(y, t.reshape({6})), ShapeError, "must be equal");
  REQUIRE_ERROR(fit::mean_absolute_error(Tensor::zeros({0, 2}), Tensor::zeros({0, 2})), ValueError,
                "0 examples");
}

TEST_CASE("R squared is the share of the spread that is explained", "[fit][metrics]") {
  // scikit-learn's example: targets 3, −0.5, 2, 7 and answers 2.5, 0, 2, 8 give 0.948608…
  const Tensor t{3, -.5, 2, 7}, y{2.5, 0, 2, 8};
  const double expected = 1 - 1.5 / 29.1875;
  CHECK(fit::r_squared(y, t) == Approx(expected).epsilon(kExact));
  fit::RSquared metric;
  for (const std::int64_t cut : {1, 2, 3}) {
    CHECK(in_parts(metric, y, t, cut) == Approx(expected).epsilon(kExact));
  }
  // Far from 0, where Σ t² − (Σ t)² / n has no digit left.
  const Tensor far = (t + 1e9).value(), near = (y + 1e9).value();
  CHECK(fit::r_squared(near, far) == Approx(expected).epsilon(1e-6));
  // Columns are scored one by one.
  const Tensor two_t{{3., 1.}, {-.5, 2.}, {2., 3.}, {7., 4.}};
  const Tensor two_y{{2.5, 1.}, {0., 2.}, {2., 3.}, {8., 4.}};
  CHECK(fit::r_squared(two_y, two_t) == Approx((expected + 1) / 2).epsilon(kExact));
  // Constant targets have no spread to explain.
  CHECK(fit::r_squared(Tensor{2, 2, 2}, Tensor{2, 2, 2}) == 1);
  CHECK(fit::r_squared(Tensor{2, 2, 3}, Tensor{2, 2, 2}) == 0);
  REQUIRE_ERROR(fit::r_squared(Tensor{2}, Tensor{2}), ValueError, "1 examples: needs 2");
  REQUIRE_ERROR(metric.add(two_y, two_t), ShapeError, "rows of 2 numbers after rows of 1");
}

}  // namespace xtape
