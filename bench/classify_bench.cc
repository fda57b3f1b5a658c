// How many requests a second the classifier reads, judges and answers, as `classify --stdin` does.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "graph/classify_lines.h"

namespace {

// A day's mix: mostly reads, some writes, some deletes, a few odd spellings.
std::vector<std::string> request_lines() {
  return {
      R"({"method":"GET","target":"/v1.0/me/messages?$top=25&$select=id,subject"})",
      R"({"method":"GET","target":"/v1.0/users/ada%40contoso.com/mailFolders/inbox/messages/AAMkAGI1AAAoZCfHAAA%3D"})",
      R"({"method":"POST","target":"/v1.0/me/sendMail"})",
      R"({"method":"PATCH","target":"/v1.0/me/events/AAMkAGI1AAAoZCfHAAA="})",
      R"({"method":"GET","target":"/beta/drives/b!-RIj2DuyvEyV1T4NlOaMHk8XkS/root:/a/b%20c.docx:/content"})",
      R"({"method":"DELETE","target":"/v1.0/me/messages/AAMkAGI1AAAoZCfHAAA="})",
      R"({"method":"POST","target":"/v1.0/users/b4c80c57-5c59-4a3d-912a-a83985988b82/messages/AAsdkjasdlknca=/permanentDelete"})",
      R"({"method":"POST","target":"/beta/me/mailFolders/sentitems/messages/AAMkAGI1AAAoZCfHAAA=/recall"})",
      R"({"method":"POST","target":"/v1.0/users('ada%40contoso.com')/messages/A%2FB/%70ermanentDelete"})",
      R"({"method":"POST","target":"/v1.0/$batch"})",
  };
}

void classify_lines(benchmark::State& state) {
  const std::vector<std::string> lines = request_lines();
  std::string out;
  std::size_t at = 0;
  for (auto _ : state) {
    holdfast::graph::classify_line(lines[at], out);
    at = (at + 1) % lines.size();
    if (out.size() > (std::size_t{1} << 16)) out.clear();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(classify_lines);

// Each kind of line on its own, to see what one costs.
void classify_one_line(benchmark::State& state) {
  const std::string line = request_lines()[static_cast<std::size_t>(state.range(0))];
  std::string out;
  for (auto _ : state) {
    holdfast::graph::classify_line(line, out);
    out.clear();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(classify_one_line)->DenseRange(0, 9);

// With headers or escapes a line goes through the general JSON parser.
void classify_line_with_headers(benchmark::State& state) {
  const std::string line =
      R"({"method":"PUT","target":"/v1.0/me/messages/m1/permanentDelete","headers":{"X-HTTP-Method":"POST"}})";
  std::string out;
  for (auto _ : state) {
    holdfast::graph::classify_line(line, out);
    out.clear();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(classify_line_with_headers);

}  // namespace

BENCHMARK_MAIN();
