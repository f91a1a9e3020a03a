#include "experiments/classify/picture_request.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "experiments/classify/request_source.h"
#include "experiments/report/base64.h"

namespace pal {
namespace {

std::vector<uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }

TEST(Base64, IsThatOfTheStandard) {
  // RFC 4648, section 10.
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(base64(bytes(plain)), text);
    EXPECT_EQ(base64_bytes(text), bytes(plain)) << text;
  }
  const std::vector<uint8_t> high = {0xfb, 0xff, 0xfe};
  EXPECT_EQ(base64(high), "+//+");
  EXPECT_EQ(base64_bytes("+//+"), high);
}

TEST(Base64, HasOneTextForTheSameBytes) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=", "Zm=v",
                           "Zg==Zg==", "Zm9v\n", "-__-", "Zm 9", "Zm9\xff"})
    EXPECT_EQ(base64_bytes(text), std::nullopt) << text;
}

TEST(PictureRequest, IsANameOrAnObject) {
  EXPECT_EQ(parse_request("coat.png").file, "coat.png");
  EXPECT_EQ(parse_request(" {").file, " {");
  EXPECT_EQ(parse_request("").file, "");
  const PictureRequest named = parse_request(R"({"id":-12,"file":"{.png"})");
  EXPECT_EQ(named.file, "{.png");
  EXPECT_EQ(named.id, "-12");
  const PictureRequest sent = parse_request(R"({"image":"Zm8=","id":"a\"b"})");
  EXPECT_EQ(sent.file, std::nullopt);
  EXPECT_EQ(sent.picture, bytes("fo"));
  EXPECT_EQ(sent.id, R"("a\"b")");
  EXPECT_EQ(sent.error, "");
}

TEST(PictureRequest, BoundsWhatAnswersRepeat) {
  EXPECT_EQ(parse_request(std::string(kMostNameBytes, 'a')).error, "");
  const PictureRequest longer = parse_request(std::string(kMostNameBytes + 1, 'a'));
  EXPECT_EQ(longer.error, "a name of 4097 bytes, expected at most 4096");
  EXPECT_EQ(longer.file, std::nullopt);
  const auto with_id = [](size_t length) {
    return parse_request(R"({"file":"a","id":")" + std::string(length, 'x') + R"("})");
  };
  EXPECT_EQ(with_id(kMostIdBytes).error, "");
  EXPECT_EQ(with_id(kMostIdBytes + 1).id, "");
  EXPECT_NE(with_id(kMostIdBytes + 1).error, "");
}

/// The requests that come through a pipe of which the writer's end is closed.
std::vector<PictureRequest> piped(const std::string& text, char end, int64_t most) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::pipe(ends), 0);
  EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  PipedRequests source(ends[0], end, [] { return false; });
  std::vector<PictureRequest> all;
  for (auto batch = source.next(most); !batch.empty(); batch = source.next(most)) {
    EXPECT_LE(static_cast<int64_t>(batch.size()), most);
    for (PictureRequest& request : batch) all.push_back(std::move(request));
  }
  ::close(ends[0]);
  return all;
}

TEST(PipedRequests, AreLinesWhateverTheBatch) {
  for (const int64_t most : {1, 2, 100}) {
    const auto requests = piped("a\r\n\nb c\n{\"file\":\"d\"}\n{\nlast", '\n', most);
    ASSERT_EQ(requests.size(), 6U);
    EXPECT_EQ(requests[0].file, "a");
    EXPECT_EQ(requests[1].file, "");
    EXPECT_EQ(requests[2].file, "b c");
    EXPECT_EQ(requests[3].file, "d");
    EXPECT_NE(requests[4].error, "");
    EXPECT_EQ(requests[5].file, "last");
  }
  const auto names = piped(std::string("{a\n\r\0b\0", 7), '\0', 3);
  ASSERT_EQ(names.size(), 2U);
  EXPECT_EQ(names[0].file, "{a\n\r");
  EXPECT_EQ(names[1].file, "b");
}

TEST(PipedRequests, EndWhenTheyAreToldTo) {
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "a\n", 2), 2);
  bool stopped = false;
  PipedRequests source(ends[0], '\n', [&] { return stopped; });
  EXPECT_EQ(source.next(5).size(), 1U);
  stopped = true;
  EXPECT_TRUE(source.next(5).empty());
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace pal
