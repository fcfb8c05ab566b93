#include <xtape/nn/export.hpp>

#include "support.hpp"

// What cannot be exported says so. That exported predictors give the network's bits is checked by
// check_export.sh, which compiles them.
namespace xtape {
namespace {

std::string exported(const char* text) {
  const nn::TextNetwork n = nn::parse_network(text);
  return nn::export_predictor(n.net, n.samples.at(0), "net");
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

TEST_CASE("layers that cannot be exported are named", "[nn][export]") {
  REQUIRE_ERROR(exported("3x4 softmax:0"), ValueError, "another axis than the last");
  nn::Sequential own{nn::Dense(3, 3), nn::Elementwise("cube", [](auto x) { return x * x * x; })};
  REQUIRE_ERROR(nn::export_predictor(own, {3}, "net"), ValueError, "[1] export_predictor: ");
  nn::Sequential inner{
      nn::Dense(3, 3),
      nn::Sequential(nn::ReLU(), nn::Activation("sinh", [](const Var& x) { return sinh(x); }))};
  REQUIRE_ERROR(nn::export_predictor(inner, {3}, "net"), ValueError,
                "[1.1] export_predictor: the operation sinh");
}

TEST_CASE("wrong use of export_predictor", "[nn][export]") {
  nn::Sequential net{nn::Dense(2, 1)};
  REQUIRE_ERROR(nn::export_predictor(net, {2}, "2net"), ValueError, "'2net'");
  REQUIRE_ERROR(nn::export_predictor(net, {2}, ""), ValueError, "identifier");
  REQUIRE_ERROR(nn::export_predictor(net, {3}, "net"), ShapeError, "Dense");
  net.parameter("0.bias").assign(Tensor({NAN}, f32));
  REQUIRE_ERROR(nn::export_predictor(net, {2}, "net"), ValueError, "0.bias");
  net.to(f64);
  REQUIRE_ERROR(nn::export_predictor(net, {2}, "net"), DTypeError, "net.to(f32)");
}

}  // namespace xtape
