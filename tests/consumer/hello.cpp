#include <iostream>

#include <xtape/xtape.hpp>

using namespace xtape;

int main() {
  Tape tape;
  Var x = tape.variable({1., 2., 3.});
  Var y = sum(x * sin(x));
  std::cout << tape.gradient(y, x) << '\n';
}
