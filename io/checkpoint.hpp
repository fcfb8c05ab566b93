#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <xtape/autodiff/parameter.hpp>
#include <xtape/autodiff/random.hpp>
#include <xtape/autodiff/rng.hpp>
#include <xtape/io/parameters.hpp>

namespace xtape::io {

/// All that a training run needs to go on where it stood: parameters, state of the optimizer,
/// places of the random generators, counts and free text, in one safetensors file, written
/// atomically.
///
///     io::Checkpoint checkpoint;
///     checkpoint.add("model", net.state());  // with running statistics
///     checkpoint.add_list("optimizer", optimizer.state());
///     checkpoint.add_list("random", net.random_state());  // of dropout
///     checkpoint.add("shuffle", rng);
///     …
///     checkpoint.step = step;
///     checkpoint.save_in("runs/7", 3);
///
/// and after a crash, with the same parts added: `checkpoint.load(latest("runs/7").path)`.
///
/// The file holds a CRC-32 of its content, which load() and latest() compare: a checkpoint that was
/// cut off or changed on the disk is refused.
class Checkpoint {
 public:
  std::int64_t step = 0;   ///< Steps of the optimizer so far; names the files of save_in().
  std::int64_t epoch = 0;  ///< Passes over the data so far.
  Metadata metadata;       ///< Free text; keys that begin with "xtape." are the library's.

  /// Parameters and buffers under `prefix.name`.
  Checkpoint& add(const std::string& prefix, const Parameters& parameters);
  /// Parameters and buffers under `prefix.0`, `prefix.1`, …: lists in a fixed order.
  Checkpoint& add_list(const std::string& prefix, const Parameters& parameters);
  /// Seed, stream and position of a generator under `name`. `rng` must stay.
  Checkpoint& add(const std::string& name, Rng& rng);
  /// Seed and stream of a Generator under `name.key`, its position under `name.position`; load()
  /// moves the position, seed and stream must agree.
  Checkpoint& add(const std::string& name, const Generator& generator);

  /// Writes everything. Temporary files that dead writers of `path` left are removed.
  /// @throws ValueError, before the file is touched, for a key that stands twice, a metadata key
  ///   beginning with "xtape.", a negative count, and a number that is not finite unless allowed.
  ///   @throws DataError when it cannot be written; `path` is as it was then.
  void save(const std::string& path, const SaveOptions& options = {}) const;
  /// Saves as `folder/checkpoint-<step, 12 digits>.safetensors` and then removes the oldest ones,
  /// so that `keep_last` with this step and below are left; those of later steps stay. Makes the
  /// folder. Returns the path. @throws as save(); ValueError unless keep_last ≥ 1.
  std::string save_in(const std::string& folder, std::int64_t keep_last,
                      const SaveOptions& options = {}) const;
  /// Reads everything: nothing has changed when it throws. With options.strict = false, loads what
  /// fits. @throws DataError as io::load, and for a file that is no checkpoint, or damaged.
  LoadReport load(const std::string& path, const LoadOptions& options = {});

 private:
  struct Bound;
  Bound bind() const;

  std::vector<std::pair<std::string, Parameter>> parts_;
  std::vector<std::pair<std::string, Rng*>> rngs_;
  std::vector<std::pair<std::string, Generator>> generators_;
};

/// What latest() found.
struct LatestCheckpoint {
  std::string path;                  ///< Empty when there is none.
  std::vector<std::string> damaged;  ///< For each newer one that was passed over: path and reason.
};

/// The checkpoint of the highest step that save_in() wrote to `folder` and that is whole: every
/// byte of it is looked at. A folder that does not exist has none.
LatestCheckpoint latest(const std::string& folder);

}  // namespace xtape::io
