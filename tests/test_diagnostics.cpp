#include "support.hpp"

// Anomalies, regions of code, and hooks.
namespace xtape {
namespace {
const double kInf = std::numeric_limits<double>::infinity();

std::string anomaly(const std::function<void()>& f) {
  try {
    f();
  } catch (const AnomalyError& e) {
    return e.what();
  }
  return "";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
}  // namespace

TEST_CASE("the first value that is not finite is named", "[anomaly]") {
  Tape tape;
  tape.detect_anomaly();
  const Var x = tape.variable(Tensor{1, 0, -2}, "distances");
  const Var h = x * 3;
  const std::string text = anomaly([&] {
    const Scope outer(tape, "loss");
    const Scope inner(tape, "logarithm");
    log(h);
  });
  INFO(text);
  CHECK(
      has(text, "[log] the value f64(3,) is not finite in [1.09861, 1.09861], 1 NaN, 1 infinite"));
  CHECK(has(text, "input 0: %2 multiply f64(3,) in [-6, 3]"));
  CHECK(has(text, "in 'loss' ("));
  CHECK(has(text, "> 'logarithm' ("));
  CHECK(has(text, "test_diagnostics.cpp:"));
  CHECK(has(anomaly([&] { tape.input(Tensor{1, std::nan("")}); }), "[input] the value f64(2,)"));
  Parameter w(Tensor{kInf}, "0.weight");
  CHECK(has(anomaly([&] { w* h; }), "input 0: parameter '0.weight', 1 infinite"));
}

TEST_CASE("the first gradient that is not finite is named", "[anomaly]") {
  for (const bool record : {false, true}) {
    Tape tape;
    tape.detect_anomaly();
    const Var x = tape.variable(Tensor{4, 0}, "area");
    Var y;
    {
      const Scope scope(tape, "roots");
      y = sqrt(x);
    }
    const Var z = sum(y * 2);
    const std::string text = anomaly([&] {
      if (record) {
        gradient(z, x);
      } else {
        tape.gradient(z, x);
      }
    });
    INFO(text);
    CHECK(has(text, "[sqrt] the gradient f64(2,) of input 0 is not finite"));
    CHECK(has(text, "its cotangent in [2, 2]"));
    CHECK(has(text, "'area'"));
    CHECK(has(text, "in 'roots' ("));
  }
  // What a zero cotangent absorbs is no anomaly.
  Tape tape;
  tape.detect_anomaly();
  const Var x = tape.variable(Tensor{4, 0});
  const Var safe = where(Tensor{1, 0}.to(boolean), sqrt(x), 0);
  CHECK(identical(gradient(sum(safe), x).value(), Tensor{0.25, 0}));
}

TEST_CASE("infinite masks may be meant; nothing is looked at by default", "[anomaly]") {
  Tape tape;
  tape.detect_anomaly({.infinities = false});
  const Var x = tape.variable(Tensor{1, 2});
  CHECK_NOTHROW(x + Tensor{-kInf, 0});
  CHECK(has(anomaly([&] { (x + Tensor{-kInf, 0}) * Tensor{0, 1}; }), "[multiply]"));
  Tape plain;
  CHECK_NOTHROW(log(plain.variable(Tensor{-1.})));
}

TEST_CASE("hooks see and change gradients, and can be removed", "[hooks]") {
  Tape tape;
  const Var x = tape.variable(Tensor{1, 2}), y = x * 3;
  Tensor seen;
  HookHandle handle = add_gradient_hook(y, [&](const Var& g) {
    seen = g.value();
    return g * 10;
  });
  const Var z = sum(y * y) + sum(y);  // complete: two uses
  CHECK(identical(tape.gradient(z, x, {.keep_tape = true}), Tensor{210, 390}));
  CHECK(identical(seen, Tensor{7, 13}));
  HookHandle look = add_gradient_hook(x, [&](const Var& g) {
    seen = g.value();
    return Var();
  });
  CHECK(handle.active());
  handle.remove();
  CHECK_FALSE(handle.active());
  CHECK(identical(tape.gradient(z, x, {.keep_tape = true}), Tensor{21, 39}));
  CHECK(identical(seen, Tensor{21, 39}));
  // Recorded, so that the second derivative goes through the hook.
  look.remove();
  HookHandle squared = add_gradient_hook(x, [](const Var& g) { return g * g; });
  const Var g = gradient(z, x);
  CHECK(identical(g.value(), Tensor{441, 1521}));
  squared.remove();
  CHECK(identical(tape.gradient(sum(g), x), Tensor{2 * 21 * 18, 2 * 39 * 18}));
}

TEST_CASE("a parameter's hooks serve every tape", "[hooks]") {
  Parameter w(Tensor{1, 2}, "w");
  HookHandle handle = add_gradient_hook(w, [](const Var& g) { return clamp(g, -1, 1); });
  for (int i = 0; i < 2; ++i) {
    Tape tape;
    CHECK(identical(tape.gradient(sum(w * tape.input(Tensor{5, -7})), w), Tensor{1, -1}));
  }
  Program p = compile([&](const Var& x) { return gradient(sum(w * x), Var(w)); }, {{{2}, f64}});
  CHECK(identical(p(Tensor{5, 0.5}), Tensor{1, 0.5}));
  handle.remove();
  Tape tape;
  CHECK(identical(tape.gradient(sum(w * tape.input(Tensor{5, -7})), w), Tensor{5, -7}));
  REQUIRE_ERROR(add_gradient_hook(Tensor{1}, [](const Var& g) { return g; }), TapeError,
                "neither recorded nor a Parameter");
  Tape other;
  HookHandle bad = add_gradient_hook(w, [](const Var& g) { return sum(g); });
  REQUIRE_ERROR(other.gradient(sum(w * other.input(Tensor{1, 1})), w), GradientError,
                "shape and dtype must stay");
  bad.remove();
}

}  // namespace xtape
