#include "audit/poster.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>

#include "http/body.h"
#include "http/origin.h"

namespace holdfast::audit {
namespace {

constexpr std::size_t kAnswerBytesMax = 256 * 1024;

}  // namespace

Result<std::unique_ptr<Poster>> Poster::open(PosterOptions options) {
  if (options.name.empty()) options.name = options.url;
  const std::size_t scheme = options.url.find("://");
  const std::size_t slash =
      scheme == std::string::npos ? scheme : options.url.find('/', scheme + 3);
  const std::string origin = options.url.substr(0, slash);
  const Result<http::Origin> parsed = http::parse_origin(origin);
  if (!parsed.ok()) return Error{ErrorCode::kInvalid, options.name + ": " + parsed.error().message};
  std::string path = slash == std::string::npos ? "" : options.url.substr(slash);
  if (path.find_first_of(" \t\r\n#") != std::string::npos) {
    return Error{ErrorCode::kInvalid, options.name + ": not a URL to post to"};
  }
  http::ClientOptions client{.origin = origin,
                             .ca_file = options.ca_file,
                             .connect_timeout = options.timeout,
                             .response_timeout = options.timeout,
                             .idle_timeout = options.timeout};
  return std::unique_ptr<Poster>(
      new Poster(std::move(options), std::move(client), std::move(path)));
}

Poster::Poster(PosterOptions options, http::ClientOptions client, std::string path)
    : options_(std::move(options)), client_options_(std::move(client)), path_(std::move(path)) {}

Poster::~Poster() = default;

Task<Result<Posted>> Poster::exchange(const Message& message) {
  http::RequestHead head;
  head.method = "POST";
  head.target = path_ + message.path;
  if (head.target.empty()) head.target = "/";
  head.headers = {{"Content-Type", message.content_type}, {"User-Agent", "holdfast"}};
  if (!message.bearer.empty()) head.headers.add("Authorization", "Bearer " + message.bearer);
  if (!message.signature.empty()) head.headers.add("Holdfast-Signature", message.signature);
  const std::unique_ptr<http::Body> body = http::string_body(message.body);
  // On a connection that cannot have been closed meanwhile: nothing here is sent twice.
  http::Outgoing outgoing{.head = head, .body = body.get(), .traffic = http::Traffic::kGuarded};
  http::SendResult sent = co_await client_->send(outgoing);
  if (!sent.response.ok()) co_return sent.response.error();
  Posted posted{.status = sent.response->status,
                .content_type = std::string(sent.response->headers.get("Content-Type")),
                .body = std::move(sent.response->content)};
  if (!sent.response->stream) co_return posted;
  Result<std::string> content = co_await http::read_all(*sent.response->stream, kAnswerBytesMax);
  if (!content.ok()) co_return content.error();
  posted.body = *std::move(content);
  co_return posted;
}

Result<Posted> Poster::post(const Message& message) {
  if (interrupted_) return Error{ErrorCode::kUnavailable, "stopping"};
  if (!client_) {
    client_ = std::make_unique<http::Client>(context_.get_executor(), client_options_);
  }
  std::optional<Result<Posted>> answer;
  bool late = false;
  boost::asio::steady_timer deadline(context_, options_.timeout);
  deadline.async_wait([&](boost::system::error_code ended) {
    if (ended || answer) return;
    late = true;
    client_->abandon();
  });
  // A Result has no default value, which a completion handler with one would need.
  const auto into_answer = [this, &message, &answer]() -> Task<void> {
    answer = co_await exchange(message);
  };
  boost::asio::co_spawn(context_, into_answer, [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  context_.restart();
  while (!answer && context_.run_one() > 0) {
  }
  deadline.cancel();
  context_.poll();  // The deadline's handler refers to this frame.
  if (late || interrupted_) client_.reset();
  if (late) return Error{ErrorCode::kTimeout, options_.name + ": no answer in time"};
  if (!answer) return Error{ErrorCode::kInternal, options_.name + ": no answer"};
  if (!answer->ok()) {
    return Error{answer->error().code, options_.name + ": " + answer->error().message};
  }
  return *std::move(answer);
}

void Poster::interrupt() {
  interrupted_ = true;
  boost::asio::post(context_, [this] {
    if (client_) client_->abandon();
  });
}

}  // namespace holdfast::audit
