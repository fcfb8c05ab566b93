#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// The update of parameters by given gradients, by whoever does it.
namespace optimizers {

enum class Rule { sgd, adam };

constexpr double kRate = 1e-3, kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;

/// Parameters of these shapes; their elements and those of the gradients by position.
struct Problem {
  std::string name;
  std::vector<std::vector<std::int64_t>> shapes;

  static std::size_t size(const std::vector<std::int64_t>& shape) {
    std::int64_t n = 1;
    for (const std::int64_t d : shape) n *= d;
    return static_cast<std::size_t>(n);
  }
  /// Elements of parameter i before the first step, or of its gradient.
  std::vector<float> start(std::size_t i) const { return numbers(i, i, 0.01F); }
  std::vector<float> gradient(std::size_t i) const { return numbers(i, i + 7, 0.02F); }

 private:
  std::vector<float> numbers(std::size_t i, std::size_t shift, float scale) const {
    std::vector<float> x(size(shapes[i]));
    for (std::size_t k = 0; k < x.size(); ++k) {
      x[k] = scale * (static_cast<float>((k + shift) * 37 % 101) - 50);
    }
    return x;
  }
};

class Subject {
 public:
  virtual ~Subject() = default;
  virtual void step() = 0;
  /// The elements of all parameters, one after the other.
  virtual std::vector<float> elements() const = 0;
};

/// One loop over each parameter.
std::unique_ptr<Subject> by_hand(const Problem& problem, Rule rule);
/// torch::optim, where this was built with libtorch; else nothing.
std::unique_ptr<Subject> by_torch(const Problem& problem, Rule rule);
void set_torch_threads(int n);

}  // namespace optimizers
