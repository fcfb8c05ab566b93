#include <limits>

#include "io_support.hpp"

// Parameters kept by name.
namespace xtape {
namespace {

nn::Sequential network(std::uint64_t seed) {
  nn::Sequential net{nn::Dense(3, 4), nn::Tanh(), nn::Dense(4, 2)};
  net.initialize(Rng(seed));
  return net;
}

std::vector<Tensor> copies(const Parameters& parameters) {
  std::vector<Tensor> v;
  for (const Parameter& p : parameters) v.push_back(p.value());
  return v;
}

bool equal(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), identical);
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("parameters come back by name", "[io][parameters]") {
  const test::Folder folder;
  const nn::Sequential a = network(1), b = network(2);
  REQUIRE_FALSE(equal(copies(a.parameters()), copies(b.parameters())));
  io::save(folder / "net", a.parameters(), {.metadata = {{"note", "x"}}});
  const io::LoadReport report = io::load(folder / "net", b.parameters());
  CHECK(report.complete());
  CHECK(report.metadata == io::Metadata{{"note", "x"}});
  CHECK(equal(copies(a.parameters()), copies(b.parameters())));
  const io::Safetensors file = io::load_safetensors(folder / "net");
  CHECK(identical(file.at("2.weight"), a.parameters()[2].value()));
  CHECK(file.at("2.weight").shape() == Shape{2, 4});
}

TEST_CASE("a strict load names everything that does not fit and changes nothing",
          "[io][parameters]") {
  const test::Folder folder;
  const nn::Sequential net = network(1);
  io::save_safetensors(folder / "net", {{"0.weight", Tensor::ones({4, 3})},
                                        {"0.bias", Tensor::ones({3})},
                                        {"2.weight", Tensor::ones({2, 4}, f64)},
                                        {"extra", Tensor::ones({1})},
                                        {"more\n", Tensor::ones({1}, i64)}});
  const std::vector<Tensor> before = copies(net.parameters());
  CHECK(test::thrown_at(folder / "net", [&] { io::load(folder / "net", net.parameters()); }) ==
        "] does not fit the parameters; missing: 2.bias; unexpected: 'more\\x0a', 'extra'; "
        "mismatched: 0.bias: F32 (3,) in the file, f32 (4,) expected, "
        "2.weight: F64 (2, 4) in the file, f32 (2, 4) expected (.convert converts)");
  CHECK(equal(before, copies(net.parameters())));

  const io::LoadReport report = io::load(folder / "net", net.parameters(), {.strict = false});
  CHECK(report.missing == Names{"2.bias"});
  CHECK(report.unexpected == Names{"more\n", "extra"});
  CHECK(report.mismatched.size() == 2);
  CHECK_FALSE(report.complete());
  CHECK(identical(net.parameters()[0].value(), Tensor::ones({4, 3})));
  for (std::size_t i = 1; i < 4; ++i) CHECK(identical(net.parameters()[i].value(), before[i]));
}

TEST_CASE("a damaged tensor leaves every parameter as it was", "[io][parameters]") {
  const test::Folder folder;
  const Parameter a(Tensor::ones({2}), "a");
  const Parameter m = Parameter::buffer(test::truths({0, 0}), "m");
  std::string file =
      io::encode_safetensors({{"a", Tensor::zeros({2})}, {"m", test::truths({1, 1})}});
  file.back() = 7;
  folder.write("f", file);
  REQUIRE_ERROR(io::load(folder / "f", {a, m}), DataError, "BOOL must be 0 or 1");
  CHECK(identical(a.value(), Tensor::ones({2})));
}

TEST_CASE("dtypes are converted when asked, and only then", "[io][parameters]") {
  const test::Folder folder;
  const Parameter wide(Tensor({1.1, 2}), "w"), narrow(Tensor({0, 0}, f32), "w");
  io::save(folder / "wide", {wide});
  REQUIRE_ERROR(io::load(folder / "wide", {narrow}), DataError, ".convert converts");
  io::load(folder / "wide", {narrow}, {.convert = true});
  CHECK(identical(narrow.value(), Tensor({1.1, 2}).to(f32)));
  io::save(folder / "narrow", {narrow});
  io::load(folder / "narrow", {wide}, {.convert = true});
  CHECK(identical(wide.value(), narrow.value().to(f64)));
  const Parameter count = Parameter::buffer(test::ints({1, 2}), "w");
  REQUIRE_ERROR(io::load(folder / "wide", {count}, {.convert = true}), DataError, "mismatched");
  folder.write("half", test::safetensors(
                           R"({"w":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})",
                           test::raw<std::uint16_t>(0x3c00) + test::raw<std::uint16_t>(0xc000)));
  REQUIRE_ERROR(io::load(folder / "half", {wide}), DataError, "F16 (2,) in the file");
  io::load(folder / "half", {wide}, {.convert = true});
  CHECK(identical(wide.value(), Tensor({1, -2})));
}

TEST_CASE("keys are renamed on the way", "[io][parameters]") {
  const test::Folder folder;
  // As PyTorch's Module.state_dict() names and lays out the layers fc1 = Linear(3, 4), fc2.
  io::save_safetensors(folder / "torch", {{"fc1.weight", Tensor::ones({4, 3})},
                                          {"fc1.bias", Tensor::zeros({4})},
                                          {"fc2.weight", Tensor::full({2, 4}, 2)},
                                          {"fc2.bias", Tensor::full({2}, 3)},
                                          {"fc2.num_batches_tracked", Tensor::scalar(9, i64)}});
  const nn::Sequential net = network(1);
  const auto rename = [](const std::string& key) -> std::string {
    if (key.ends_with("num_batches_tracked")) return "";
    return (key.starts_with("fc1") ? "0" : "2") + key.substr(3);
  };
  CHECK(io::load(folder / "torch", net.parameters(), {.rename = rename}).complete());
  CHECK(identical(net.parameters()[2].value(), Tensor::full({2, 4}, 2)));
  REQUIRE_ERROR(io::load(folder / "torch", net.parameters(),
                         {.rename = [](const std::string&) { return "0.bias"; }}),
                ValueError, "rename gives '0.bias' to both 'fc2.num_batches_tracked' and");
}

TEST_CASE("what must not be saved is refused before the file is touched", "[io][parameters]") {
  const test::Folder folder;
  const Parameter bad(Tensor({1, std::numeric_limits<double>::quiet_NaN()}), "layer.w");
  REQUIRE_ERROR(io::save(folder / "f", {bad}), ValueError,
                "layer.w is nan at element 1: must be finite");
  REQUIRE_ERROR(
      io::save(folder / "f", {Parameter(Tensor({1.0}), "w"), Parameter(Tensor({1.0}), "w")}),
      ValueError, "two parameters are named 'w'");
  CHECK(folder.entries() == 0);
  io::save(folder / "f", {bad, bad}, {.allow_nonfinite = true});  // tied: once
  CHECK(io::load_safetensors(folder / "f").tensors.size() == 1);
  CHECK(identical(io::load_safetensors(folder / "f").at("layer.w"), bad.value()));
}

}  // namespace xtape
