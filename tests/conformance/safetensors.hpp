#pragma once

#include <map>
#include <string>

#include <xtape/autodiff/tensor.hpp>

namespace xtape::conformance {

/// The tensors of a safetensors file by name. Strict: a header that does not describe the file
/// exactly (bounds, sizes, gaps, unknown types) throws DataError. F64 is read as f64; I64, I32 and
/// U8 as i64; BOOL as boolean. Tensors of
/// more axes than xtape has are left undefined.
std::map<std::string, Tensor> read_safetensors(const std::string& path);

/// The same of the bytes of a file; `name` is for the errors.
std::map<std::string, Tensor> parse_safetensors(const std::string& bytes, const std::string& name);

/// All bytes of a file. @throws DataError.
std::string read_file(const std::string& path);

}  // namespace xtape::conformance
