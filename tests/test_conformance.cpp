#include <limits>

#include "conformance/report.hpp"
#include "conformance/safetensors.hpp"
#include "support.hpp"

// The program that compares xtape with reference data must see what is wrong.
namespace xtape::conformance {
namespace {

const OpSamples kOp{"cube", "test", ""};

// y = x³ with its gradient 3x²·ct and second order.
Sample cube() {
  Sample s;
  s.id = "0123456789";
  s.params = {{"input", {{"$t", 0}}}};
  const Tensor x({0.5, -1.5, 2.0}), ct({1.0, 2.0, -1.0}), w({0.5, 1.0, 3.0});
  s.inputs = {x};
  s.differentiable = {0};
  s.outputs = {(Var(x) * x * x).value()};
  s.cotangents = {{0, ct}};
  s.gradients = {{0, (3 * Var(x) * x * ct).value()}};
  s.has_second = true;
  s.second.weights = {{0, w}};
  s.second.dx = {{0, (6 * Var(x) * ct * w).value()}};
  s.second.dct = {{0, (3 * Var(x) * x * w).value()}};
  s.f32_values = s.f32_gradients = {0};
  return s;
}

Var right(const Call& c) {
  const Var x = c.operand("input");
  return x * x * x;
}

Row run(const Adapter& a, const Sample& s = cube(), std::span<const Exception> known = {}) {
  ExceptionTable table(known);
  return run_op(kOp, {s}, &a, {}, table);
}

bool fails_with(const Row& row, const std::string& text) {
  if (row.failed != 1 || row.passed != 0) return false;
  for (const Failure& f : row.failures.at(0).failures) {
    if ((f.where + ": " + f.what).find(text) == std::string::npos) continue;
    return true;
  }
  return false;
}

}  // namespace

TEST_CASE("the conformance program passes what is right", "[conformance]") {
  const Row row = run([](const Call& c) { return std::vector<Var>{right(c)}; });
  CHECK(row.passed == 1);
  CHECK(row.failures.empty());
  ExceptionTable table({});
  CHECK(run_op(kOp, {cube()}, nullptr, {}, table).missing == 1);
}

TEST_CASE("the conformance program fails what is wrong", "[conformance]") {
  const auto off = [](double factor) {
    return [factor](const Call& c) { return std::vector<Var>{right(c) * factor}; };
  };
  CHECK(fails_with(run(off(1.001)), "output 0"));
  CHECK(fails_with(run(off(1.001)), "eager f32: output 0"));
  CHECK(fails_with(run(off(1 + 1e-9)), "program f64: gradient of input 0"));
  CHECK(fails_with(run(off(std::nan(""))), "output 0"));
  CHECK(fails_with(run([](const Call& c) {
                     return std::vector<Var>{reshape(right(c), {3, 1})};
                   }),
                   "shape (3, 1), expected (3,)"));
  CHECK(fails_with(run([](const Call& c) { return std::vector<Var>{sum(right(c))}; }), "shape"));
  CHECK(fails_with(run([](const Call& c) { return std::vector<Var>{cast(right(c), i64)}; }),
                   "dtype i64"));
  CHECK(fails_with(run([](const Call&) { return std::vector<Var>{}; }), "0 outputs, expected 1"));
  CHECK(fails_with(run([](const Call& c) { return std::vector<Var>{c.operand("other")}; }),
                   "argument other is absent"));
}

TEST_CASE("the conformance program sees lost gradients of both orders", "[conformance]") {
  const Row lost = run([](const Call& c) { return std::vector<Var>{stop_gradient(right(c))}; });
  CHECK(fails_with(lost, "eager f64: gradient of input 0"));
  CHECK(fails_with(lost, "program f64: gradient of input 0"));
  // (x − stop_gradient(x))² has value and gradient 0, but not its second order.
  const Row second = run([](const Call& c) {
    const Var x = c.operand("input"), d = x - stop_gradient(x);
    return std::vector<Var>{right(c) + d * d};
  });
  CHECK(fails_with(second, "eager f64: second order dx of input 0"));
  CHECK_FALSE(fails_with(second, "gradient of input 0: "));
}

TEST_CASE("infinities and NaN must stand where the reference has them", "[conformance]") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const Tensor reference({1, inf, nan});
  CHECK(compare(Tensor({1, inf, nan}), reference, {}).ok());
  CHECK(compare(Tensor({1, -inf, nan}), reference, {}).wrong == std::vector<std::int64_t>{1});
  CHECK(compare(Tensor({1, inf, 0}), reference, {}).wrong == std::vector<std::int64_t>{2});
  CHECK(compare(Tensor({nan, inf, nan}), reference, {}).wrong == std::vector<std::int64_t>{0});
  CHECK(compare(Tensor({1, 1e300, nan}), reference, {}).wrong == std::vector<std::int64_t>{1});
  CHECK(compare(Tensor({1.0, 2.0, 3.0}), Tensor({1.0, 2.0, 3.1}), {}).error == Approx(0.1 / 3.1));
}

TEST_CASE("exceptions forgive what they name and are counted", "[conformance]") {
  const Adapter wrong = [](const Call& c) {
    const Var y = right(c);
    return std::vector<Var>{y * Tensor({1, 1, 0}).to(y.dtype()) +
                            stop_gradient(y) * Tensor({0, 0, 1}).to(y.dtype())};
  };
  const Exception known[] = {
      {"cube", "", Excuse::coordinates, "it is only a test", "kink"},
      {"cube", "ffffffffff", Excuse::sample, "there is no such sample"},
  };
  CHECK(run(wrong).failed == 1);
  CHECK(run(wrong, cube(), known).failed == 1);  // no coordinates listed
  Sample s = cube();
  s.coordinates["kink"][0] = {2};
  ExceptionTable table(known);
  CHECK(run_op(kOp, {s}, &wrong, {}, table).passed == 1);
  CHECK(table.users(0).size() == 1);
  CHECK_FALSE(table.stale(0));
  CHECK(table.stale(1));
  s.coordinates["kink"][0] = {1};
  CHECK(run(wrong, s, known).failed == 1);
}

TEST_CASE("safetensors that do not describe themselves are refused", "[conformance]") {
  const auto file = [](const std::string& header, const std::string& data) {
    std::string text = header;
    while (text.size() % 8 != 0) text += ' ';
    std::string length(8, '\0');
    length[0] = static_cast<char>(text.size());
    return length + text + data;
  };
  const std::string two(16, '\0');
  const auto good = parse_safetensors(
      file(R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}})", two), "test");
  CHECK(good.at("a").shape() == Shape{2});
  const auto bad = [&](const std::string& header) {
    CHECK_THROWS_AS(parse_safetensors(file(header, two), "test"), DataError);
  };
  bad("[]");
  bad("{");
  bad(R"({"a":{"dtype":"F64","shape":[2],"data_offsets":[0,24]}})");
  bad(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,16]}})");
  bad(R"({"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})");
  bad(R"({"a":{"dtype":"F16","shape":[8],"data_offsets":[0,16]}})");
  bad(R"({"a":{"dtype":"F64","shape":[-2],"data_offsets":[0,16]}})");
  bad(R"({"a":{"dtype":"F64","shape":[4611686018427387904,8],"data_offsets":[0,16]}})");
  CHECK_THROWS_AS(parse_safetensors("short", "test"), DataError);
  CHECK_THROWS_AS(parse_safetensors(std::string(8, '\xff') + two, "test"), DataError);
}

}  // namespace xtape::conformance
