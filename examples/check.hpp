#pragma once

#include <cmath>
#include <cstdio>

// Every example prints its numbers and holds them against the ones it claims.
inline int failures = 0;

/// Prints a number and whether it is the expected one: within half a unit of its last given digit.
inline void expect(const char* what, double got, double expected, double tolerance) {
  const bool ok = std::abs(got - expected) <= tolerance;
  failures += !ok;
  std::printf("  %-44s %.12g%s\n", what, got, ok ? "" : "   <- WRONG");
  if (!ok) std::printf("  %-44s %.12g\n", "  expected", expected);
}

inline void expect(const char* what, bool holds) {
  failures += !holds;
  std::printf("  %-44s %s\n", what, holds ? "yes" : "NO   <- WRONG");
}
