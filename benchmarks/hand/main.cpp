#include "hand.hpp"

int main(int argc, char** argv) {
  return bench::run({.name = "hand",
                     .training = hand::training,
                     .chain = hand::chain,
                     .gate = hand::gate,
                     .rows = hand::rows,
                     .function = hand::function},
                    argc, argv);
}
