#pragma once

#include <string>

#include <xtape/data/dataset.hpp>

namespace xtape::data {

/// Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017): 60,000 and 10,000 grey images of 28 × 28 pixels,
/// ten kinds of clothing. Inputs [n, 784] f32 in [0, 1], row by row; labels [n] i64.
///
/// Reads train-images-idx3-ubyte, train-labels-idx1-ubyte and the same with t10k, each plain or
/// with ".gz", from `folder`.
/// @throws DataError when a file is missing, saying which Debian package has it, or malformed.
Split fashion_mnist(const std::string& folder = "/usr/share/datasets/fashion-mnist");

/// MNIST (LeCun, Cortes, Burges, 1998), or another data set in its four files and its sizes:
/// ten classes named "0" to "9". Shapes, files and errors as for fashion_mnist().
Split mnist(const std::string& folder);

/// 1,797 handwritten digits of 8 × 8 pixels, part of the library: needs no file. Inputs [1797, 64]
/// f32: the 17 levels 0…16 divided by 16; labels [1797] i64.
///
/// The test set of E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
/// Learning Repository, 1998, CC BY 4.0; see ATTRIBUTION.md in this folder.
Dataset digits();

/// digits(), the first 1,437 (four fifths) to train on and the last 360 to test on, in published
/// order: the same rows for everyone, without a seed. It is the harder split: a classifier scores
/// some percent less on it than on a shuffled split(digits(), 0.2, rng).
Split digits_split();

}  // namespace xtape::data
