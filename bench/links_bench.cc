// How fast links of an answer are found and rewritten, as it comes in pieces.
#include <benchmark/benchmark.h>

#include <string>
#include <string_view>

#include "graph/links.h"

namespace {

using holdfast::graph::LinkOrigins;
using holdfast::graph::LinkRewriter;

constexpr std::size_t kPageBytes = 64 * 1024;
constexpr std::size_t kPieceBytes = 16 * 1024;

std::string link(std::string_view path) {
  return "\"https://graph.microsoft.com/v1.0/" + std::string(path) + "\"";
}

// As Graph writes them, without blanks.
std::string message(std::size_t number) {
  const std::string id = "AAMkAGI2TG93" + std::string(128, 'A') + std::to_string(number) + "AAA=";
  return R"({"@odata.etag":"W/\"CQAAABYAAADHcgC8Hl9tRZ)" + std::to_string(number) +
         R"(\"","id":")" + id +
         R"(","createdDateTime":"2026-10-05T09:41:07Z","lastModifiedDateTime":"2026-10-05T09:41:09Z",)"
         R"("changeKey":"CQAAABYAAADHcgC8Hl9tRZ","categories":[],"hasAttachments":false,)"
         R"("subject":"Re: Numbers for the third quarter","bodyPreview":"Hi Adele,\r\n\r\nthe numbers )"
         R"(for the third quarter are attached. Could you look over the \"open items\" before Thursday?)"
         R"(\r\nMegan\r\n________________________________\r\nFrom: Alex Wilber","importance":"normal",)"
         R"("isDeliveryReceiptRequested":null,"isRead":true,"size":48213,)"
         R"("webLink":"https://outlook.office365.com/owa/?ItemID=)" +
         id +
         R"(&exvsurl=1","from":{"emailAddress":{"name":"Megan Bowen","address":"megan@contoso.com"}},)"
         R"("toRecipients":[{"emailAddress":{"name":"Adele Vance","address":"adele@contoso.com"}},)"
         R"({"emailAddress":{"name":"Alex Wilber","address":"alex@contoso.com"}}],"ccRecipients":[]})";
}

std::string page_of_messages() {
  std::string page = R"({"@odata.context":)" + link("$metadata#users('adele')/messages") +
                     R"(,"value":[)" + message(0);
  for (std::size_t number = 1; page.size() < kPageBytes; ++number) page += "," + message(number);
  return page + R"(],"@odata.nextLink":)" + link("me/messages?$skip=50") + "}";
}

// One string and no more: the body of a message, or a file in Base64.
std::string page_of_text() {
  return R"({"@odata.context":)" + link("$metadata#microsoft.graph.attachment") +
         R"(,"contentBytes":")" + std::string(kPageBytes, 'Q') + R"("})";
}

// Text of markup, with a character escaped every few words.
std::string page_of_markup() {
  std::string page = R"({"body":{"contentType":"html","content":")";
  while (page.size() < kPageBytes) page += R"(<p class=\"MsoNormal\">Good morning</p>\r\n)";
  return page + R"("}})";
}

void rewrite_links(benchmark::State& state, const std::string& page) {
  const LinkOrigins origins{
      .graph = {"https://graph.microsoft.com:443", "https://graph.microsoft.com"},
      .outside = "https://holdfast.example"};
  std::string out;
  for (auto _ : state) {
    LinkRewriter rewriter(origins, LinkRewriter::Content::kPlain);
    for (std::size_t at = 0; at < page.size(); at += kPieceBytes) {
      out.clear();
      benchmark::DoNotOptimize(rewriter.take(std::string_view(page).substr(at, kPieceBytes), out));
    }
    benchmark::DoNotOptimize(rewriter.finish());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(page.size()));
}
BENCHMARK_CAPTURE(rewrite_links, messages, page_of_messages());
BENCHMARK_CAPTURE(rewrite_links, text, page_of_text());
BENCHMARK_CAPTURE(rewrite_links, markup, page_of_markup());

}  // namespace

BENCHMARK_MAIN();
