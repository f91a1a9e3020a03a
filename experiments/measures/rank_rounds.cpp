#include "experiments/measures/rank_rounds.h"

#include <map>
#include <new>
#include <optional>
#include <string>
#include <system_error>

#include "runtime/error.h"

namespace pal {
namespace {

/// What an exception is to other ranks; Interrupted has no kind.
struct Trouble {
  std::optional<ErrorKind> kind;
  std::string text;
};

Trouble trouble_of(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Interrupted&) {
    return {};
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  } catch (const std::bad_alloc&) {
    return {ErrorKind::environment,
            "memory: the system has no more; use smaller batches or fewer processes"};
  } catch (const std::system_error& error) {
    return {ErrorKind::environment, std::string("system: ") + error.what()};
  } catch (const std::exception& error) {
    return {ErrorKind::failure, std::string("internal: ") + error.what()};
  } catch (...) {
    return {ErrorKind::failure, "internal: unknown exception"};
  }
}

std::vector<char> characters(const std::string& text) { return {text.begin(), text.end()}; }

std::string text_in(Message& message) {
  const std::vector<char> text = message.take<char>();
  return {text.begin(), text.end()};
}

/// Whether a rank is in trouble, and in which.
Message report_of(const std::exception_ptr& exception) {
  Message message;
  std::vector<int32_t> state;
  std::string text;
  if (exception) {
    const Trouble trouble = trouble_of(exception);
    state.push_back(trouble.kind ? static_cast<int32_t>(*trouble.kind) : -1);
    text = trouble.text;
  }
  message.add(state).add(characters(text));
  return message;
}

}  // namespace

Message RankRounds::new_bad_images() {
  std::vector<int64_t> indices, lengths;
  std::string texts;
  if (bad_images_ != nullptr)
    for (const auto& [index, text] : bad_images_->entries()) {
      if (!known_bad_.insert(index).second) continue;
      indices.push_back(index);
      lengths.push_back(static_cast<int64_t>(text.size()));
      texts += text;
    }
  Message message;
  message.add(indices).add(lengths).add(characters(texts));
  return message;
}

std::vector<Message> RankRounds::exchange(Message mine) {
  Message sent;
  sent.add(report_of(trouble_).bytes()).add(new_bad_images().bytes()).add(mine.bytes());
  std::vector<Message> messages;
  bool interrupted = false;
  std::optional<Error> error;
  std::map<int64_t, std::string> bad;
  for (auto& bytes : all_gather_bytes(*ranks_, sent.bytes())) {
    Message received(std::move(bytes));
    Message report(received.take<uint8_t>());
    const std::vector<int32_t> state = report.take<int32_t>();
    const std::string text = text_in(report);
    if (!state.empty() && state[0] < 0) interrupted = true;
    if (!state.empty() && state[0] >= 0 && !error)
      error.emplace(static_cast<ErrorKind>(state[0]), text);
    Message noted(received.take<uint8_t>());
    const auto indices = noted.take<int64_t>();
    const auto lengths = noted.take<int64_t>();
    const std::string texts = text_in(noted);
    size_t at = 0;
    for (size_t i = 0; i < indices.size(); at += static_cast<size_t>(lengths[i++]))
      bad.emplace(indices[i], texts.substr(at, static_cast<size_t>(lengths[i])));
    messages.emplace_back(received.take<uint8_t>());
  }
  if (error) throw Error(*error);
  if (interrupted) throw Interrupted();
  for (const auto& [index, text] : bad) {
    if (bad_images_ == nullptr || !known_bad_.insert(index).second) continue;
    // How full the log is may differ for now, as ranks read ahead: no reason to leave alone.
    try {
      bad_images_->add(index, text);
    } catch (const Error&) {
      trouble_ = std::current_exception();
      break;
    }
  }
  return messages;
}

void RankRounds::round(const std::function<Message()>& make,
                       const std::function<void(Message&)>& take) {
  if (alone()) {
    Message message = make();
    take(message);
    return;
  }
  Message mine;
  try {
    if (!trouble_) mine = make();
  } catch (...) {
    trouble_ = std::current_exception();
  }
  std::vector<Message> messages = exchange(std::move(mine));
  try {
    for (Message& message : messages) take(message);
  } catch (...) {
    if (!trouble_) trouble_ = std::current_exception();
  }
}

void RankRounds::finish() {
  if (!alone()) exchange({});
}

Message from_first_rank(Communicator* ranks, const std::function<Message()>& make) {
  RankRounds rounds(ranks);
  std::vector<Message> made;
  rounds.round([&] { return rounds.rank() == 0 ? make() : Message(); },
               [&](Message& message) { made.push_back(std::move(message)); });
  return std::move(made[0]);
}

void on_all_ranks(Communicator* ranks, const std::function<void()>& body) {
  RankRounds(ranks).round(
      [&] {
        body();
        return Message();
      },
      [](Message&) {});
}

}  // namespace pal
