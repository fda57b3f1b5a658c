// holdfast classify: says what requests are, without sending any.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/load.h"
#include "graph/classify_lines.h"

namespace holdfast::cli {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

struct ClassifyOptions {
  std::string method;
  std::string target;
  bool from_stdin = false;
};

bool write_all(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

// Answers what each read brings before reading on, so that a program at the other end of a pipe can
// ask and wait.
int classify_stdin() {
  std::vector<char> buffer(kReadBytes);
  std::string pending;  // A line whose end has not been read yet.
  std::string out;
  bool all_good = true;
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      std::perror("holdfast classify: standard input");
      return 2;
    }
    std::string_view chunk(buffer.data(), static_cast<std::size_t>(count));
    if (count == 0) {
      if (!pending.empty()) all_good = graph::classify_line(pending, out) && all_good;
      break;
    }
    for (std::size_t end = chunk.find('\n'); end != std::string_view::npos;
         end = chunk.find('\n')) {
      std::string_view line = chunk.substr(0, end);
      if (!pending.empty()) line = pending.append(line);
      all_good = graph::classify_line(line, out) && all_good;
      pending.clear();
      chunk.remove_prefix(end + 1);
    }
    // Enough of an endless line to know that it is too long.
    if (pending.size() <= graph::kClassifyLineBytesMax) pending.append(chunk);
    if (!write_all(out)) return 2;
    out.clear();
  }
  if (!write_all(out)) return 2;
  return all_good ? 0 : 1;
}

int classify_one(const ClassifyOptions& options) {
  std::string out;
  graph::append_classification(graph::classify({.method = options.method,
                                                .target = options.target,
                                                .headers = {},
                                                .body = std::nullopt}),
                               out);
  return write_all(out) ? 0 : 2;
}

}  // namespace

void add_classify(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<ClassifyOptions>();
  CLI::App* command = app.add_subcommand("classify", "Say what a Graph request is");
  CLI::Option* method = command->add_option("METHOD", options->method, "POST, DELETE, …");
  CLI::Option* target =
      command->add_option("TARGET", options->target, "Path and query, as in the request line");
  CLI::Option* from_stdin = command->add_flag(
      "--stdin", options->from_stdin,
      R"(Read {"method","target","headers"?,"body"?} one a line, answer one a line)");
  method->needs(target);
  from_stdin->excludes(method)->excludes(target);
  command->callback([options, &invocation] {
    if (!options->from_stdin && (options->method.empty() || options->target.empty())) {
      throw CLI::RequiredError("METHOD and TARGET, or --stdin");
    }
    invocation.run = [options, &invocation] {
      // Nothing of it is needed, but a wrong setting is wrong for every command.
      if (!load_config(invocation)) return static_cast<int>(kUsageError);
      return options->from_stdin ? classify_stdin() : classify_one(*options);
    };
  });
}

}  // namespace holdfast::cli
