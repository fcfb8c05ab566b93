#pragma once

// A Catch2 matcher (versions 2 and 3) for the tests of those who use xtape:
//
//     REQUIRE_THAT(gradcheck(my_function, {x, w}), PassesGradcheck());
//
// A failure prints the report: which input, which element, both values, kink or not.
#if __has_include(<catch2/matchers/catch_matchers.hpp>)
#include <catch2/matchers/catch_matchers.hpp>
#else
#include <catch2/catch.hpp>
#endif

#include <xtape/autodiff/gradcheck.hpp>

namespace xtape {

/// Matches a GradcheckReport in which nothing is wrong.
class PassesGradcheck : public Catch::Matchers::
#if __has_include(<catch2/matchers/catch_matchers.hpp>)
                            MatcherBase<GradcheckReport> {
#else
                            Impl::MatcherBase<GradcheckReport> {
#endif
 public:
  /// Whether report.ok().
  bool match(const GradcheckReport& report) const override { return report.ok(); }
  /// For the message of a failure.
  std::string describe() const override { return "has right gradients"; }
};

}  // namespace xtape
