#include <xtape/autodiff/ops/rules.hpp>
#include <xtape/nn/export.hpp>

#include "export_networks.hpp"
#include "support.hpp"

// What cannot be exported says so. That exported predictors give the network's bits is checked by
// check_export.sh, which compiles them.
namespace xtape {
namespace {

std::string exported(const std::string& text) {
  const nn::TextNetwork n = nn::parse_network(text);
  return nn::export_predictor(n.net, std::span<const Shape>(n.samples), "net");
}

// Whether one of the exported networks has this kind of layers, or activation.
bool stands(const std::string& kind) {
  for (std::string text : kExported) {
    for (char& c : text) c = c == '\n' || c == ',' || c == '=' ? ' ' : c;
    text = " " + text + " ";
    if (text.find(" " + kind + " ") != std::string::npos) return true;
    if (text.find(" " + kind + ":") != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("an exported predictor holds the weights exactly", "[nn][export]") {
  nn::Sequential net{nn::Dense(2, 1)};
  net.parameter("0.weight").assign(Tensor({{0.1, -3}}, f32));
  const std::string text = nn::export_predictor(net, {2}, "my_net");
  CHECK_THAT(text, ContainsSubstring("namespace my_net {"));
  CHECK_THAT(text, ContainsSubstring("{\n    0x1.99999ap-4F,-0x1.8p+1F,};"));
  CHECK_THAT(text, ContainsSubstring("kInputs = 2, kOutputs = 1"));
  CHECK(text == nn::export_predictor(net, {2}, "my_net"));
}

TEST_CASE("exporting leaves the network as it is", "[nn][export]") {
  nn::Sequential net{nn::Dense(4, 3), nn::Dropout(0.5), nn::BatchNorm(3)};
  nn::export_predictor(net, {4}, "net");
  CHECK(net.training());
  CHECK(net.buffers().at(0).version() == 0);
}

TEST_CASE("every kind of layers and every activation is exported by a test", "[nn][export]") {
  std::string kinds = nn::kind_names() + ", ";
  for (const nn::ActivationKind& k : nn::activation_kinds()) kinds += std::string(k.name) + ", ";
  int count = 0;
  for (std::size_t at = 0, end; (end = kinds.find(", ", at)) != std::string::npos; at = end + 2) {
    const std::string kind = kinds.substr(at, end - at);
    INFO(kind);
    CHECK(stands(kind));
    ++count;
  }
  CHECK(count > 60);
  CHECK_FALSE(stands("dens"));
}

TEST_CASE("an exported predictor declares what goes in and comes out", "[nn][export]") {
  const std::string one = exported("3 embedding:5:2");
  CHECK_THAT(one, ContainsSubstring("predict(const std::int64_t* in, float* out, float* work"));
  CHECK_THAT(one, ContainsSubstring("kInputs = 3, kOutputs = 6"));
  const std::string several = exported(
      "w = input:4\nx = input:3\ne = embedding:5:2 (w)\nd = dense:2 (x)\nf = flatten (e)\n"
      "output (f, d)\n");
  CHECK_THAT(several, ContainsSubstring("predict(const std::int64_t* in0, const float* in1, float* "
                                        "out0, float* out1, float* workspace)"));
  CHECK_THAT(several, ContainsSubstring("kInputs[] = {4, 3}, kOutputs[] = {8, 2}"));
  CHECK_THAT(several, ContainsSubstring("// in0: (1, 4) i64"));
  const nn::Sequential own{nn::Lambda("rows", [](const Var& i) {
    return embedding(i, Tensor({{1, 2}, {3, 4}}, f32));
  })};
  const Spec index{{3}, i64};
  CHECK_THAT(nn::export_predictor(own, std::span(&index, 1), "net"),
             ContainsSubstring("predict(const std::int64_t* in"));
}

TEST_CASE("layers that cannot be exported are named", "[nn][export]") {
  nn::Sequential own{nn::Dense(3, 3), nn::Elementwise("cube", [](auto x) { return x * x * x; })};
  REQUIRE_ERROR(nn::export_predictor(own, {3}, "net"), ValueError, "[1] export_predictor: ");
  nn::Sequential inner{
      nn::Dense(3, 3),
      nn::Sequential(nn::ReLU(), nn::Activation("sinh", [](const Var& x) { return sinh(x); }))};
  REQUIRE_ERROR(nn::export_predictor(inner, {3}, "net"), ValueError,
                "[1.1] export_predictor: the operation sinh cannot be exported, in sinh");
  // What a layer does before its child runs is not the child's.
  struct Own : nn::Cloneable<Own> {
    Own() { add_child("inside", std::make_shared<nn::Dense>(3, 3)); }
    Var forward(const Var& x) const override { return (*children()[0].module)(sinh(x)); }
    std::string describe() const override { return "Own()"; }
  };
  REQUIRE_ERROR(nn::export_predictor(nn::Sequential{nn::ReLU(), Own()}, {3}, "net"), ValueError,
                "[1] export_predictor: the operation sinh cannot be exported, in Own()");
  nn::Sequential best{nn::Lambda("best", [](const Var& x) { return argmax(x, 1); })};
  REQUIRE_ERROR(nn::export_predictor(best, {3}, "net"), DTypeError, "an output of i64");
  nn::Sequential batches{nn::BatchNorm(2, {.track_running_stats = false}, 1)};
  CHECK_NOTHROW(nn::export_predictor(batches, {2, 5}, "net"));
  nn::Sequential across{
      nn::Lambda("across", [](const Var& x) { return standardize(x, {1}, 1e-5); })};
  REQUIRE_ERROR(nn::export_predictor(across, {2, 5}, "net"), ValueError, "than the last ones");
  const Spec index{{3}, i64};
  nn::Sequential sum{nn::Lambda("sum", [](const Var& i) { return cast(i + i, f32); })};
  REQUIRE_ERROR(nn::export_predictor(sum, std::span(&index, 1), "net"), ValueError,
                "the operation add of i64 cannot be exported, in sum");
}

namespace {
constexpr Op kRelu = rules::unary("relu", [](auto x) { return x * x; }, {"y = x²", "none"}, {});
}  // namespace

TEST_CASE("an op of a user's own is not exported as ours of that name", "[nn][export]") {
  const nn::Sequential net{nn::Lambda("mine", [](const Var& x) { return apply(kRelu, {&x}); })};
  REQUIRE_ERROR(nn::export_predictor(net, {3}, "net"), ValueError,
                "the operation relu cannot be exported, in mine");
}

TEST_CASE("wrong use of export_predictor", "[nn][export]") {
  nn::Sequential net{nn::Dense(2, 1)};
  REQUIRE_ERROR(nn::export_predictor(net, {2}, "2net"), ValueError, "'2net'");
  REQUIRE_ERROR(nn::export_predictor(net, {2}, ""), ValueError, "identifier");
  REQUIRE_ERROR(nn::export_predictor(net, {2}, "class"), ValueError, "'class': must be a C++");
  REQUIRE_ERROR(nn::export_predictor(net, {2}, "std"), ValueError, "'std'");
  REQUIRE_ERROR(nn::export_predictor(net, {3}, "net"), ShapeError, "Dense");
  REQUIRE_ERROR(nn::export_predictor(net, {0}, "net"), ShapeError, "no elements");
  REQUIRE_ERROR(nn::export_predictor(net, std::span<const Spec>(), "net"), ValueError, "no inputs");
  const Spec mask{{2}, boolean};
  REQUIRE_ERROR(nn::export_predictor(net, std::span(&mask, 1), "net"), DTypeError,
                "an input of bool");
  net.parameter("0.bias").assign(Tensor({NAN}, f32));
  REQUIRE_ERROR(nn::export_predictor(net, {2}, "net"), ValueError, "0.bias");
  net.to(f64);
  REQUIRE_ERROR(nn::export_predictor(net, {2}, "net"), DTypeError, "net.to(f32)");
}

}  // namespace xtape
