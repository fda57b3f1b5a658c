#include "config/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "base/encoding.h"

namespace holdfast::config {
namespace {

using nlohmann::json;

constexpr std::size_t kYamlBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kDepthMax = 32;

// Leaves the library's parser from inside an event; caught in parse_yaml.
struct Refusal {
  int line;
  std::string why;
};

// Plain scalars as the YAML 1.2 core schema reads them, but only the lower-case spellings of words.
json plain_scalar(const std::string& text, int line) {
  if (text == "true") return true;
  if (text == "false") return false;
  const bool is_signed = text[0] == '-' || text[0] == '+';
  const std::string_view unsigned_text = std::string_view(text).substr(is_signed ? 1 : 0);
  if (unsigned_text == ".inf" || text == ".nan") {
    throw Refusal{line, "\"" + text + "\" is not a number that can be used"};
  }
  const auto only = [](std::string_view part, std::string_view allowed) {
    return !part.empty() && part.find_first_not_of(allowed) == std::string_view::npos;
  };
  int base = 0;
  std::string_view digits = unsigned_text;
  if (only(digits, "0123456789")) {
    base = 10;
  } else if (!is_signed && digits.starts_with("0x") &&
             only(digits.substr(2), "0123456789abcdefABCDEF")) {
    base = 16;
    digits.remove_prefix(2);
  } else if (!is_signed && digits.starts_with("0o") && only(digits.substr(2), "01234567")) {
    base = 8;
    digits.remove_prefix(2);
  }
  if (base != 0) {
    const std::string signed_digits = (text[0] == '-' ? "-" : "") + std::string(digits);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(
        signed_digits.data(), signed_digits.data() + signed_digits.size(), number, base);
    if (error != std::errc()) throw Refusal{line, "the number " + text + " is too large"};
    return number;
  }
  if (digits[0] == '.' ? digits.size() < 2 || !only(digits.substr(1, 1), "0123456789")
                       : !only(digits.substr(0, 1), "0123456789")) {
    return text;
  }
  double number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (end != digits.data() + digits.size()) return text;
  if (error != std::errc()) throw Refusal{line, "the number " + text + " is too large"};
  return text[0] == '-' ? -number : number;
}

// Whether the quoted scalar that begins at `position` ends in the text. The library takes the end
// of the text for the end of the scalar.
bool quotes_closed(std::string_view text, std::size_t position) {
  const char quote = text[position];
  for (std::size_t i = position + 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || text.substr(i + 1, 1) != "'") return true;
      ++i;
    }
  }
  return false;
}

std::string pointer_token(const std::string& key) {
  std::string token;
  for (const char c : key) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

// Builds the value and the table of lines from the library's events.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view text, YamlDocument& document) : text_(text), document_(document) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) throw Refusal{mark.line + 1, "only one document is allowed in a file"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (expects_key()) throw Refusal{mark.line + 1, "a key must not be empty"};
    place(mark, nullptr);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refusal{mark.line + 1, "aliases (*name) are not allowed"};
  }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    throw Refusal{mark.line + 1, "anchors (&name) are not allowed"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    // "!" is also how the library reports quotes, so the text itself tells a bare tag.
    const auto position = static_cast<std::size_t>(mark.pos);
    const char first = position < text_.size() ? text_[position] : '\0';
    const bool bare_tag = first == '!';
    if (bare_tag || (tag != "?" && tag != "!" && !tag.empty())) refuse_tag(mark);
    if (tag == "!" && (first == '"' || first == '\'') && !quotes_closed(text_, position)) {
      throw Refusal{mark.line + 1, "the quotes are not closed"};
    }
    // What an escape makes ("\0") is not among the bytes; PostgreSQL cannot store it.
    if (value.find('\0') != std::string::npos) {
      throw Refusal{mark.line + 1, "a string must not hold a NUL character"};
    }
    if (expects_key()) {
      take_key(mark, value);
    } else {
      place(mark, tag == "?" ? plain_scalar(value, mark.line + 1) : json(value));
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, json::array());
  }
  void OnSequenceEnd() override { levels_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, json::object());
  }
  void OnMapEnd() override { levels_.pop_back(); }

 private:
  struct Level {
    json* container;
    std::string pointer;
    std::string key;  // Of the member whose value comes next; only where has_key.
    bool has_key = false;
  };

  [[noreturn]] static void refuse_tag(const YAML::Mark& mark) {
    throw Refusal{mark.line + 1, "tags (!name) are not allowed"};
  }

  bool expects_key() const {
    return !levels_.empty() && levels_.back().container->is_object() && !levels_.back().has_key;
  }

  void take_key(const YAML::Mark& mark, const std::string& key) {
    Level& level = levels_.back();
    const std::string pointer = level.pointer + "/" + pointer_token(key);
    const auto [earlier, is_new] = document_.lines.emplace(pointer, mark.line + 1);
    if (!is_new) {
      throw Refusal{mark.line + 1, "the key \"" + key + "\" is already on line " +
                                       std::to_string(earlier->second)};
    }
    level.key = key;
    level.has_key = true;
  }

  json* place(const YAML::Mark& mark, json value) {
    if (levels_.empty()) {
      document_.lines[""] = mark.line + 1;
      document_.value = std::move(value);
      return &document_.value;
    }
    Level& level = levels_.back();
    if (level.container->is_array()) {
      document_.lines[pointer_here()] = mark.line + 1;
      level.container->push_back(std::move(value));
      return &level.container->back();
    }
    level.has_key = false;
    return &((*level.container)[level.key] = std::move(value));
  }

  // The pointer of the value that comes next.
  std::string pointer_here() const {
    if (levels_.empty()) return "";
    const Level& level = levels_.back();
    const bool in_array = level.container->is_array();
    return level.pointer + "/" +
           (in_array ? std::to_string(level.container->size()) : pointer_token(level.key));
  }

  void open(const YAML::Mark& mark, const std::string& tag, json container) {
    if (tag != "?" && !tag.empty()) refuse_tag(mark);
    if (expects_key()) throw Refusal{mark.line + 1, "a key must be a plain word or a string"};
    if (levels_.size() == kDepthMax) {
      throw Refusal{mark.line + 1, "nested deeper than " + std::to_string(kDepthMax) + " levels"};
    }
    std::string pointer = pointer_here();
    // Containers stay where they are while they are open: a parent only grows once the child is
    // closed, so the address is good until then.
    json* placed = place(mark, std::move(container));
    levels_.push_back({.container = placed, .pointer = std::move(pointer), .key = ""});
  }

  std::string_view text_;
  YamlDocument& document_;
  std::vector<Level> levels_;
  int documents_ = 0;
};

// What YAML forbids in a file and the library lets through.
void refuse_bad_bytes(std::string_view text) {
  int line = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool line_break = byte == '\n' || (byte == '\r' && text.substr(i + 1, 1) == "\n");
    if ((byte < 0x20 && byte != '\t' && !line_break) || byte == 0x7F) {
      throw Refusal{line, "control characters are not allowed"};
    }
    if (byte == '\n') ++line;
  }
  if (is_utf8(text)) return;
  line = 1;
  while (true) {
    const std::size_t end = text.find('\n');
    if (!is_utf8(text.substr(0, end))) throw Refusal{line, "the text is not UTF-8"};
    text.remove_prefix(end + 1);
    ++line;
  }
}

}  // namespace

std::string YamlDocument::where(const std::string& pointer) const {
  std::string place = pointer;
  auto line = lines.find(place);
  while (line == lines.end() && !place.empty()) {
    place.resize(place.rfind('/'));
    line = lines.find(place);
  }
  std::string text = file + ":" + std::to_string(line == lines.end() ? 1 : line->second) + ": ";
  if (!pointer.empty()) text += pointer + ": ";
  return text;
}

Result<YamlDocument> parse_yaml(std::string_view text, std::string file) {
  YamlDocument document{.file = std::move(file), .value = nullptr, .lines = {}};
  const auto invalid = [&](int line, const std::string& why) {
    return Error{ErrorCode::kInvalid, document.file + ":" + std::to_string(line) + ": " + why};
  };
  if (text.size() > kYamlBytesMax) return invalid(1, "the file is larger than 4 MiB");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  try {
    refuse_bad_bytes(text);
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(text, document);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refusal& refusal) {
    return invalid(refusal.line, refusal.why);
  } catch (const YAML::Exception& error) {
    return invalid(error.mark.line + 1, "not valid YAML: " + error.msg);
  }
  return document;
}

Result<YamlDocument> load_yaml(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string text;
  if (stream) {
    text.resize(kYamlBytesMax + 1);
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
  }
  // A directory opens and then fails to be read.
  if (!stream.eof() && text.size() <= kYamlBytesMax) {
    return Error{ErrorCode::kNotFound, path + ": the file is missing or cannot be read"};
  }
  return parse_yaml(text, path);
}

}  // namespace holdfast::config
