// embed.cc: varve inside a program, without the server: open, write, read, scan, snapshot, checkpoint. The
// tests build and run it: embed DIRECTORY (new or an earlier one of its own).
#include <cstdio>
#include <string>

#include "varve/database.h"

namespace {

int fail(const varve::Status& status) {
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
    return 2;
  }
  std::string dir = argv[1];
  auto opened = varve::Database::open(dir);
  if (!opened) return fail(opened.status());
  varve::Database& db = **opened;

  // One durable write (returns when it would survive a power cut), then three that are durable together.
  if (auto status = db.put("fruit:apple", "red"); !status.ok()) return fail(status);
  varve::WriteBatch batch;
  batch.put("fruit:banana", "yellow");
  batch.put("fruit:cherry", "red");
  batch.put("vegetable:leek", "green");
  if (auto status = db.write(batch); !status.ok()) return fail(status);

  auto before = db.snapshot();
  if (auto status = db.remove_range("fruit:b", "fruit:c"); !status.ok()) return fail(status);

  auto banana = db.get("fruit:banana");
  if (!banana) return fail(banana.status());
  auto banana_before = db.get("fruit:banana", before.get());
  if (!banana_before) return fail(banana_before.status());
  std::printf("banana: %s, before: %s\n", *banana ? (*banana)->c_str() : "gone", (*banana_before)->c_str());

  // Keys of a prefix, forwards, then backwards.
  auto it = db.scan({.begin = "fruit:", .end = "fruit;"});
  for (; it->valid(); it->next())
    std::printf("%s = %s\n", std::string(it->key()).c_str(), std::string(it->value()).c_str());
  for (it->seek_to_last(); it->valid(); it->prev()) std::printf("%s\n", std::string(it->key()).c_str());
  if (auto status = it->status(); !status.ok()) return fail(status);
  it.reset();
  before.reset();

  // Many writes under way at once share their syncs.
  varve::Ticket last = 0;
  for (int i = 0; i < 1000; ++i) {
    varve::WriteBatch one;
    one.put("number:" + std::to_string(i), std::to_string(i * i));
    auto ticket = db.submit(one);
    if (!ticket) return fail(ticket.status());
    last = *ticket;
    if (auto done = db.poll(last); !done) return fail(done.status());
  }
  if (auto status = db.wait(last); !status.ok()) return fail(status);
  auto squares = db.multi_get({"number:12", "number:999", "number:1000"});
  if (!squares) return fail(squares.status());
  std::printf("12: %s, 999: %s, 1000: %s\n", (*squares)[0]->c_str(), (*squares)[1]->c_str(),
              (*squares)[2] ? "there" : "absent");

  if (auto status = db.checkpoint(dir + "-copy"); !status.ok()) return fail(status);
  if (auto status = db.close(); !status.ok()) return fail(status);
  auto copy = varve::Database::open(dir + "-copy");
  if (!copy) return fail(copy.status());
  auto apple = (*copy)->get("fruit:apple");
  if (!apple) return fail(apple.status());
  std::printf("in the copy, apple: %s\n", *apple ? (*apple)->c_str() : "absent");
  return 0;
}
