#include <limits>

#include "io_support.hpp"
#include "killed.hpp"
#include "resumable.hpp"

// Training runs that are broken off and go on.
namespace xtape {
namespace {

namespace fs = std::filesystem;
using test::Resumable;
using test::train_and_kill;

bool same(const Resumable& a, const Resumable& b) {
  const Tensors x = a.state(), y = b.state();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), identical);
}

std::string name_of(std::int64_t step) {
  std::string digits = std::to_string(step);
  return "checkpoint-" + std::string(12 - digits.size(), '0') + digits + ".safetensors";
}

}  // namespace

TEST_CASE("ten steps and ten resumed ones are twenty, bit for bit", "[io][checkpoint]") {
  const test::Folder folder;
  Resumable whole, first, second;
  whole.train(20);
  first.train(10);
  first.checkpoint().epoch = 3;
  first.checkpoint().metadata = {{"note", "ten"}};
  first.checkpoint().save(folder / "c");
  REQUIRE_FALSE(same(first, second));
  CHECK(second.checkpoint().load(folder / "c").complete());
  CHECK(same(first, second));
  CHECK(second.checkpoint().step == 10);
  CHECK(second.checkpoint().epoch == 3);
  CHECK(second.checkpoint().metadata == io::Metadata{{"note", "ten"}});
  second.train(10);
  CHECK(same(whole, second));
  first.train(10);  // saving has not disturbed it
  CHECK(same(whole, first));
}

TEST_CASE("the generators of a checkpoint keep every bit of their places", "[io][checkpoint]") {
  const test::Folder folder;
  Rng a(~std::uint64_t{0}, 1ULL << 63);
  a.seek((1ULL << 62) + 1);
  Generator g(7, 8);
  const std::int64_t far = (std::int64_t{1} << 62) + 1;
  Parameter position = g.position();
  position.assign(Tensor::from(std::vector<std::int64_t>{far}).reshape({}));
  io::Checkpoint().add("a", a).add("g", g).save(folder / "c");
  Rng b;
  const std::uint32_t next = a.next();
  Generator h(7, 8);
  io::Checkpoint().add("a", b).add("g", h).load(folder / "c");
  CHECK(b.seed() == a.seed());
  CHECK(b.next() == next);
  CHECK(h.position().value().span<std::int64_t>()[0] == far);

  Generator other(7, 9);
  Rng c(3);
  io::Checkpoint checkpoint;
  checkpoint.add("a", c).add("g", other);
  REQUIRE_ERROR(checkpoint.load(folder / "c"), DataError, "seed and stream [7, 8] was saved");
  CHECK(c.seed() == 3);  // nothing has changed
}

TEST_CASE("training that is killed at any moment goes on with the same bits", "[io][checkpoint]") {
  Rng rng(11);
  const auto moment = [&] { return std::chrono::microseconds(rng.integer(12'000)); };
  const test::Folder folder;
  Resumable resumed;
  SECTION("in a folder of checkpoints") {
    for (int life = 0; life < 55; ++life) {
      REQUIRE(train_and_kill("folder", folder.str(), moment()));
      const io::LatestCheckpoint found = io::latest(folder.str());
      REQUIRE(found.damaged.empty());
      REQUIRE_FALSE(found.path.empty());
    }
    resumed.checkpoint().load(io::latest(folder.str()).path);
    resumed.checkpoint().save_in(folder.str(), 2);
    CHECK(folder.entries() <= 3);  // of 55 dead writers nothing is left
  }
  SECTION("in one file") {
    for (int life = 0; life < 55; ++life) {
      REQUIRE(train_and_kill("file", folder / "c", moment()));
      REQUIRE_NOTHROW(Resumable().checkpoint().load(folder / "c"));
    }
    resumed.checkpoint().load(folder / "c");
    resumed.checkpoint().save(folder / "c");
    CHECK(folder.entries() == 1);
  }
  REQUIRE(resumed.checkpoint().step >= 55);
  Resumable whole;
  whole.train(resumed.checkpoint().step);
  CHECK(same(whole, resumed));
}

TEST_CASE("of several checkpoints the last are kept and the newest whole one is found",
          "[io][checkpoint]") {
  const test::Folder folder;
  const std::string runs = folder / "runs/1";
  CHECK(io::latest(runs).path.empty());
  Resumable run;
  for (int i = 0; i < 5; ++i) {
    run.train(1);
    CHECK(run.checkpoint().save_in(runs, 3) == runs + "/" + name_of(i + 1));
  }
  folder.write("runs/1/checkpoint-x.safetensors", "someone's");
  folder.write("runs/1/checkpoint-7.safetensors", "someone's");
  const auto exists = [&](std::int64_t step) { return fs::exists(runs + "/" + name_of(step)); };
  CHECK((!exists(1) && !exists(2) && exists(3) && exists(4) && exists(5)));
  CHECK(io::latest(runs).path == runs + "/" + name_of(5));

  // The newest is cut off, the one before has a bit flipped.
  const std::string five = folder.read("runs/1/" + name_of(5));
  folder.write("runs/1/" + name_of(5), five.substr(0, five.size() - 9));
  std::string four = folder.read("runs/1/" + name_of(4));
  four[four.size() - 9] ^= 4;
  folder.write("runs/1/" + name_of(4), four);
  const io::LatestCheckpoint found = io::latest(runs);
  CHECK(found.path == runs + "/" + name_of(3));
  REQUIRE(found.damaged.size() == 2);
  CHECK(found.damaged[0].find(name_of(5)) != std::string::npos);
  CHECK(found.damaged[0].find("the file has") != std::string::npos);
  CHECK(found.damaged[1].find(name_of(4) + "] is damaged: its CRC-32") != std::string::npos);

  // What a dead writer of another step left goes with the next save.
  const std::string leftover = "runs/1/" + name_of(99) + ".tmp-0123456789ab";
  folder.write(leftover, "dead");

  // Who goes on from there does not lose the whole one to the damaged ones.
  Resumable again;
  again.checkpoint().load(found.path);
  again.checkpoint().save_in(runs, 1);
  CHECK((exists(3) && exists(4) && exists(5)));
  CHECK_FALSE(fs::exists(folder / leftover));
  again.train(1);
  again.checkpoint().save_in(runs, 1);
  CHECK((!exists(3) && exists(4) && exists(5)));
  CHECK(io::latest(runs).path == runs + "/" + name_of(4));
  REQUIRE_ERROR(again.checkpoint().save_in(runs, 0), ValueError, "keep_last 0");
}

TEST_CASE("every bit of a checkpoint is looked at", "[io][checkpoint]") {
  const test::Folder folder;
  Resumable run;
  run.train(2);
  run.checkpoint().metadata = {{"note", "a"}};
  run.checkpoint().save(folder / "c");
  const std::string good = folder.read("c");
  const Resumable untouched;
  Resumable victim;
  std::fstream file(folder / "c", std::ios::in | std::ios::out | std::ios::binary);
  const auto put = [&](std::size_t i, char c) {
    file.seekp(static_cast<std::streamoff>(i)).put(c).flush();
  };
  for (std::size_t i = 0; i < good.size(); ++i) {
    INFO(i << ": " << good.substr(i < 20 ? 0 : i - 20, 40));
    put(i, static_cast<char>(good[i] ^ (1 << i % 8)));
    REQUIRE_THROWS_AS(victim.checkpoint().load(folder / "c"), DataError);
    if (!same(untouched, victim)) FAIL("changed by a refused file");
    put(i, good[i]);
  }
  CHECK(victim.checkpoint().step == 0);
  CHECK(victim.checkpoint().load(folder / "c").complete());
  CHECK(same(run, victim));
}

TEST_CASE("checkpoints that cannot be are refused", "[io][checkpoint]") {
  const test::Folder folder;
  Resumable run;
  io::Checkpoint& c = run.checkpoint();
  c.metadata = {{"xtape.step", "7"}};
  REQUIRE_ERROR(c.save(folder / "c"), ValueError, "metadata key xtape.step");
  c.metadata.clear();
  c.step = -1;
  REQUIRE_ERROR(c.save(folder / "c"), ValueError, "step -1");
  c.step = 0;
  const Parameter bad(Tensor({std::numeric_limits<double>::infinity()}), "w");
  io::Checkpoint infinite;
  infinite.add("model", {bad});
  REQUIRE_ERROR(infinite.save(folder / "c"), ValueError, "model.w is inf at element 0");
  io::Checkpoint twice;
  twice.add("model", {Parameter(Tensor({1.0}), "w"), Parameter(Tensor({1.0}), "w")});
  REQUIRE_ERROR(twice.save(folder / "c"), ValueError, "two parameters are named 'model.w'");
  CHECK(folder.entries() == 0);
  io::save_safetensors(folder / "t", {{"a", Tensor({1.0})}});
  REQUIRE_ERROR(c.load(folder / "t"), DataError, "is no checkpoint");
  io::Checkpoint other;
  other.add("model", {Parameter(Tensor({1.0}), "w")});
  other.save(folder / "c");
  REQUIRE_ERROR(c.load(folder / "c"), DataError, "unexpected: 'model.w'");
  CHECK(c.load(folder / "c", {.strict = false}).unexpected.size() == 1);
}

}  // namespace xtape
