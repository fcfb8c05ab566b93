#include <algorithm>
#include <charconv>
#include <cmath>

#include <xtape/nn/kinds.hpp>

namespace xtape::nn {
namespace {

using Type = KindArgument::Type;
constexpr std::int64_t kMost = std::int64_t{1} << 31;

template <class T>
bool read(const std::string& text, T& v) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  return error == std::errc() && end == text.data() + text.size();
}

std::vector<std::string> pieces(const std::string& s, char at) {
  std::vector<std::string> out{""};
  for (const char c : s) {
    if (c == at) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

bool is_extents(const std::string& text) {
  for (const std::string& piece : pieces(text, 'x')) {
    std::int64_t n = 0;
    if (!read(piece, n) || n < -1 || n > kMost) return false;
  }
  return pieces(text, 'x').size() <= 3;
}

// Why a text is no value of an argument, or "".
std::string wrong(const KindArgument& a, const std::string& text) {
  std::int64_t n = 0;
  double x = 0;
  switch (a.type) {
    case Type::count:
      if (read(text, n) && n >= 1 && n <= a.most) return "";
      return "must be a whole number from 1 to " + std::to_string(a.most);
    case Type::integer:
      return read(text, n) && n >= -a.most && n <= a.most ? "" : "must be a whole number";
    case Type::number:
      return read(text, x) && std::isfinite(x) ? "" : "must be a number";
    case Type::padding:
      if (text == "same") return "";
      [[fallthrough]];
    case Type::extents:
      return is_extents(text) ? "" : "must be extents such as 3 or 3x5";
    case Type::words:
    case Type::flag:
      return "";
  }
  return "";
}

}  // namespace

const std::string& KindArguments::text(const char* name) const {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (all_[i].name == std::string_view(name)) return texts_[i];
  }
  throw ValueError("layer kinds", std::string("internal: no argument ") + name);
}

std::int64_t KindArguments::integer(const char* name) const {
  std::int64_t n = 0;
  read(text(name), n);
  return n;
}

double KindArguments::number(const char* name) const {
  double x = 0;
  read(text(name), x);
  return x;
}

PerAxis KindArguments::extents(const char* name) const {
  PerAxis out;
  if (text(name).empty()) return out;
  for (const std::string& piece : pieces(text(name), 'x')) {
    std::int64_t n = 0;
    read(piece, n);
    out.push_back(n);
  }
  return out;
}

std::int64_t Making::features() const {
  const Shape& s = in[0].shape;
  if (s.rank() < 2) throw ParseError("network", "an input without axes");
  return s[s.rank() - 1];
}

std::string LayerKind::usage() const {
  std::string s = name;
  for (const KindArgument& a : arguments) {
    std::string upper = a.name;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (a.type == Type::flag) {
      s += std::string("[:") + a.name + "]";
    } else if (!a.usual) {
      s += ":" + upper + (a.type == Type::words ? ",…" : "");
    } else {
      s += std::string("[:") + a.name + "=" + (*a.usual ? a.usual : upper) + "]";
    }
  }
  return s;
}

KindWord parse_word(const LayerKind& kind, const std::string& word) {
  const auto fail = [&](const std::string& why) {
    throw ParseError("network", why + ": write " + kind.usage());
  };
  std::vector<std::string> texts(kind.arguments.size());
  std::vector<bool> given(texts.size(), false);
  const std::vector<std::string> parts = pieces(word, ':');
  for (std::size_t p = 1; p < parts.size(); ++p) {
    const std::size_t equals = parts[p].find('=');
    const std::string name = parts[p].substr(0, equals);
    std::size_t at = texts.size();
    for (std::size_t i = texts.size(); i-- > 0;) {
      const KindArgument& a = kind.arguments[i];
      const bool flag = a.type == Type::flag;
      const bool named = (flag == (equals == std::string::npos)) && a.name == name;
      if (named || (equals == std::string::npos && !flag && !given[i] &&
                    (at == texts.size() || kind.arguments[at].type != Type::flag))) {
        at = i;
        if (named && flag) break;
      }
    }
    if (at == texts.size() || given[at]) {
      fail("'" + parts[p] + "' is no argument of " + kind.name + ", or one too many");
    }
    const std::string value = equals == std::string::npos ? parts[p] : parts[p].substr(equals + 1);
    if (const std::string why = wrong(kind.arguments[at], value); !why.empty()) {
      fail(std::string(kind.arguments[at].name) + " " + why + ", not '" + value + "'");
    }
    texts[at] = value;
    given[at] = true;
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const KindArgument& a = kind.arguments[i];
    if (given[i] || a.type == Type::flag) continue;
    if (!a.usual) fail(std::string("no ") + a.name);
    texts[i] = a.usual;
  }
  return {&kind, std::move(texts)};
}

std::string KindWord::str() const {
  std::string s = kind->name;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const KindArgument& a = kind->arguments[i];
    if (a.type == Type::flag) {
      if (!texts[i].empty()) s += ":" + texts[i];
    } else if (!a.usual || (i == 0 && texts[i] != a.usual)) {
      s += ":" + texts[i];
    } else if (texts[i] != a.usual) {
      s += std::string(":") + a.name + "=" + texts[i];
    }
  }
  return s;
}

}  // namespace xtape::nn
