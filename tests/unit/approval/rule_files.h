// Rule files for tests, written to a directory of their own that goes away with the object.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "approval/rules.h"
#include "base/clock.h"

namespace holdfast::approval {

inline WallTime at(std::string_view text) {
  return parse_rfc3339(text).value();
}

class RuleFiles {
 public:
  RuleFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "holdfast-rules-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~RuleFiles() { std::filesystem::remove_all(directory_); }
  RuleFiles(const RuleFiles&) = delete;
  RuleFiles& operator=(const RuleFiles&) = delete;

  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }

  void set_modified(const std::string& name, WallTime time) const {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
    const timespec both[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, path(name).c_str(), both, 0), 0);
  }

  // Loads `text` as rules.yaml.
  Result<RuleSet> load(std::string_view text, WallTime now = at("2026-10-05T08:00:00Z")) const {
    return load_rules(write("rules.yaml", text), now);
  }

  // What is wrong with `text`, without the directory.
  std::string problem(std::string_view text) const {
    const Result<RuleSet> rules = load(text);
    if (rules.ok()) return "none";
    std::string message = rules.error().message;
    const std::string prefix = directory_ + "/";
    for (std::size_t i = 0; (i = message.find(prefix, i)) != std::string::npos;) {
      message.erase(i, prefix.size());
    }
    return message;
  }

 private:
  std::string directory_;
};

}  // namespace holdfast::approval
