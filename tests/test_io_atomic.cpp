#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "io_support.hpp"

// Files that appear whole or not at all.
namespace xtape {
namespace {

// While it lives, files cannot grow beyond `bytes`: writes fail as on a full disk.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  rlimit old_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("a file appears at commit, and not before", "[io][atomic]") {
  const test::Folder folder;
  folder.write("f", "old");
  {
    io::AtomicFile file(folder / "f");
    file.write("ne");
    file.write("w");
    CHECK(folder.read("f") == "old");
    CHECK(folder.entries() == 2);
    file.commit();
    CHECK(folder.read("f") == "new");
    CHECK(folder.entries() == 1);
  }
  {
    io::AtomicFile dropped(folder / "f");
    dropped.write("never");
  }
  CHECK(folder.read("f") == "new");
  CHECK(folder.entries() == 1);
  io::write_atomically(folder / "f", {});
  CHECK(folder.read("f").empty());
}

TEST_CASE("what cannot be written leaves the old file and no other", "[io][atomic]") {
  const test::Folder folder;
  const auto error = [](const std::string& path, const std::string& bytes) {
    return test::thrown_at(path, [&] { io::write_atomically(path, test::bytes_of(bytes)); });
  };
  CHECK(error(folder / "no/f", "x") == "] cannot be written: No such file or directory");
  folder.write("f", "old");
  {
    const FileLimit limit(1000);
    CHECK(error(folder / "f", std::string(100'000, 'x')) == "] cannot be written: File too large");
  }
  CHECK(folder.read("f") == "old");
  CHECK(folder.entries() == 1);
  std::filesystem::create_directories(folder / "g");
  CHECK(error(folder / "g", "x") == "] cannot be written: Is a directory");
  CHECK(folder.entries() == 2);
}

TEST_CASE("leftovers of dead writers are removed, those of living ones stay", "[io][atomic]") {
  const test::Folder folder;
  folder.write("f.tmp-0123456789ab", "dead");
  folder.write("g.tmp-0123456789ab", "another's");
  folder.write("f.tmp-0123456789aX", "no temporary file");
  folder.write("f.tmp-", "no temporary file");
  io::AtomicFile living(folder / "f");
  living.write("living");
  CHECK(io::remove_leftovers(folder.str(), "f") == 1);
  CHECK(folder.entries() == 4);
  CHECK(folder.read("f.tmp-0123456789ab").empty());
  living.commit();
  CHECK(folder.read("f") == "living");
  CHECK(io::remove_leftovers(folder / "no such folder", "f") == 0);
}

TEST_CASE("what is no regular file is not read", "[io][atomic]") {
  const test::Folder folder;
  CHECK(test::thrown_at(folder.str(), [&] { io::load_npy(folder.str()); }) ==
        "] is no regular file");
  CHECK(test::thrown_at(folder / "no", [&] { io::load_npy(folder / "no"); }) ==
        "] cannot be opened: No such file or directory");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(test::thrown_at(folder / "pipe", [&] { io::load_safetensors(folder / "pipe"); }) ==
        "] is no regular file");
}

}  // namespace xtape
