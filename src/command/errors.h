// errors.h: what a client's mistake is told, word for word as Redis says it. Texts include their code;
// Reply::error adds the "-".
#pragma once

namespace varve::errors {

inline constexpr const char* kSyntax = "ERR syntax error";
inline constexpr const char* kWrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr const char* kNoSuchKey = "ERR no such key";
inline constexpr const char* kSameObject = "ERR source and destination objects are the same";
inline constexpr const char* kNotInteger = "ERR value is not an integer or out of range";
inline constexpr const char* kNotFloat = "ERR value is not a valid float";
inline constexpr const char* kOutOfRange = "ERR value is out of range";
inline constexpr const char* kOutOfRangePositive = "ERR value is out of range, must be positive";
inline constexpr const char* kOverflow = "ERR increment or decrement would overflow";
inline constexpr const char* kDecrementOverflow = "ERR decrement would overflow";
inline constexpr const char* kNanOrInfinity = "ERR increment would produce NaN or Infinity";
inline constexpr const char* kHashNotInteger = "ERR hash value is not an integer";
inline constexpr const char* kHashNotFloat = "ERR hash value is not a float";
inline constexpr const char* kStringTooLong = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
inline constexpr const char* kInfiniteIncrement = "ERR value is NaN or Infinity";
inline constexpr const char* kNumkeys = "ERR numkeys should be greater than 0";
inline constexpr const char* kTooManyKeys = "ERR Number of keys can't be greater than number of args";
inline constexpr const char* kIndexRange = "ERR index out of range";
inline constexpr const char* kZeroRank =
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to "
    "start from the end of the list";
inline constexpr const char* kNegativeCount = "ERR COUNT can't be negative";
inline constexpr const char* kNegativeMaxlen = "ERR MAXLEN can't be negative";
inline constexpr const char* kZeroCount = "ERR count should be greater than 0";
inline constexpr const char* kNegativeLimit = "ERR LIMIT can't be negative";
inline constexpr const char* kPopCount = "ERR count should be greater than 0";
inline constexpr const char* kAddXxNx = "ERR XX and NX options at the same time are not compatible";
inline constexpr const char* kAddGtLtNx = "ERR GT, LT, and/or NX options at the same time are not compatible";
inline constexpr const char* kAddIncrPairs = "ERR INCR option supports a single increment-element pair";
inline constexpr const char* kScoreNotNumber = "ERR resulting score is not a number (NaN)";
inline constexpr const char* kWeightNotFloat = "ERR weight value is not a float";
inline constexpr const char* kRangeNotFloat = "ERR min or max is not a float";
inline constexpr const char* kRangeNotString = "ERR min or max not valid string range item";
inline constexpr const char* kRangeLimit =
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
inline constexpr const char* kRangeLexScores =
    "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
inline constexpr const char* kOffsetRange = "ERR offset is out of range";
inline constexpr const char* kBitOffset = "ERR bit offset is not an integer or out of range";
inline constexpr const char* kBitValue = "ERR bit is not an integer or out of range";
inline constexpr const char* kBitArgument = "ERR The bit argument must be 1 or 0.";
inline constexpr const char* kBitopNot = "ERR BITOP NOT must be called with a single source key.";
inline constexpr const char* kBitfieldType =
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
inline constexpr const char* kBitfieldOverflow = "ERR Invalid OVERFLOW type specified";
inline constexpr const char* kBitfieldReadOnly = "ERR BITFIELD_RO only supports the GET subcommand";
inline constexpr const char* kLcsTypes = "ERR The specified keys must contain string values";
inline constexpr const char* kLcsBoth = "ERR If you want both the length and indexes, please just use IDX.";
inline constexpr const char* kLcsTooLong =
    "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
inline constexpr const char* kNotHyperLogLog = "WRONGTYPE Key is not a valid HyperLogLog string value.";
inline constexpr const char* kDamagedHyperLogLog = "INVALIDOBJ Corrupted HLL object detected";
inline constexpr const char* kDebuggedKey = "ERR The specified key does not exist";
inline constexpr const char* kNotSparse = "ERR HLL encoding is not sparse";
inline constexpr const char* kGeoUnit = "ERR unsupported unit provided. please use M, KM, FT, MI";
inline constexpr const char* kGeoRadius = "ERR need numeric radius";
inline constexpr const char* kGeoWidth = "ERR need numeric width";
inline constexpr const char* kGeoHeight = "ERR need numeric height";
inline constexpr const char* kGeoNegativeRadius = "ERR radius cannot be negative";
inline constexpr const char* kGeoNegativeBox = "ERR height or width cannot be negative";
inline constexpr const char* kGeoMember = "ERR could not decode requested zset member";
inline constexpr const char* kGeoCount = "ERR COUNT must be > 0";
inline constexpr const char* kGeoAny = "ERR the ANY argument requires COUNT argument";
inline constexpr const char* kInvalidStreamId = "ERR Invalid stream ID specified as stream command argument";
inline constexpr const char* kNegativeStreamLength = "ERR The MAXLEN argument must be >= 0.";
inline constexpr const char* kNegativeTrimLimit = "ERR The LIMIT argument must be >= 0.";
inline constexpr const char* kTrimTwice =
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible";
inline constexpr const char* kLimitWithoutTrim =
    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
inline constexpr const char* kTrimWithoutStrategy =
    "ERR syntax error, XTRIM must be called with a trimming strategy";
inline constexpr const char* kLimitWithoutTilde =
    "ERR syntax error, LIMIT cannot be used without the special ~ option";
inline constexpr const char* kZeroStreamId = "ERR The ID specified in XADD must be greater than 0-0";
inline constexpr const char* kStreamExhausted =
    "ERR The stream has exhausted the last possible ID, unable to add more items";
inline constexpr const char* kSmallStreamId =
    "ERR The ID specified in XADD is equal or smaller than the target stream top item";
inline constexpr const char* kEntryTooLarge = "ERR Elements are too large to be stored";
inline constexpr const char* kInvalidRangeStart = "ERR invalid start ID for the interval";
inline constexpr const char* kInvalidRangeEnd = "ERR invalid end ID for the interval";
inline constexpr const char* kReadUnbalanced =
    "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.";
inline constexpr const char* kReadGroup =
    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.";
inline constexpr const char* kReadNoAck =
    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.";
inline constexpr const char* kReadNew =
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.";
inline constexpr const char* kNegativeEntriesAdded = "ERR entries_added must be positive";
inline constexpr const char* kSetIdBelowGiven =
    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id";
inline constexpr const char* kSetIdBelowTop =
    "ERR The ID specified in XSETID is smaller than the target stream top item";
inline constexpr const char* kEntriesAddedBelowLength =
    "ERR The entries_added specified in XSETID is smaller than the target stream length";
inline constexpr const char* kSortNotNumbers = "ERR One or more scores can't be converted into double";
inline constexpr const char* kInvalidCursor = "ERR invalid cursor";
inline constexpr const char* kDbRange = "ERR DB index is out of range";
inline constexpr const char* kInvalidDb = "ERR invalid DB index";
inline constexpr const char* kInvalidFirstDb = "ERR invalid first DB index";
inline constexpr const char* kInvalidSecondDb = "ERR invalid second DB index";
inline constexpr const char* kExpireNxAndOthers =
    "ERR NX and XX, GT or LT options at the same time are not compatible";
inline constexpr const char* kExpireGtLt = "ERR GT and LT options at the same time are not compatible";
inline constexpr const char* kNoLfu =
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
    "switching between "
    "policies at runtime LRU and LFU data will take some time to adjust.";
inline constexpr const char* kNoAuth = "NOAUTH Authentication required.";
inline constexpr const char* kNoProto = "NOPROTO unsupported protocol version";
inline constexpr const char* kWrongPass = "WRONGPASS invalid username-password pair or user is disabled.";
// With the command's full name.
inline constexpr const char* kNoPermissionCommand =
    "NOPERM this user has no permissions to run the '{}' command";
inline constexpr const char* kNoPermissionKey =
    "NOPERM this user has no permissions to access one of the keys used as arguments";
inline constexpr const char* kNoPermissionChannel =
    "NOPERM this user has no permissions to access one of the channels used as arguments";
inline constexpr const char* kNoPermissionAnyMore =
    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This "
    "command is no longer allowed for the following reason: {}";
inline constexpr const char* kLoading = "LOADING Redis is loading the dataset in memory";
inline constexpr const char* kNoSpace =
    "MISCONF varve has no room left on disk for its log: writes that add data are refused until there is "
    "some again. "
    "Reads and deletes go on. INFO lsm and the log tell more.";
inline constexpr const char* kFenced =
    "MISCONF The last sync of the write-ahead log failed: nothing is acknowledged any more, durable data "
    "stays readable. "
    "See the log, repair the disk and restart.";
inline constexpr const char* kShuttingDown = "ERR the server is shutting down";

inline constexpr const char* kExecAbort = "EXECABORT Transaction discarded because of: ";
inline constexpr const char* kExecFailed = "EXECABORT Transaction discarded because of previous errors.";
inline constexpr const char* kExecWithoutMulti = "ERR EXEC without MULTI";
inline constexpr const char* kDiscardWithoutMulti = "ERR DISCARD without MULTI";
inline constexpr const char* kNestedMulti = "ERR MULTI calls can not be nested";
inline constexpr const char* kWatchInMulti = "ERR WATCH inside MULTI is not allowed";
inline constexpr const char* kNotInMulti = "ERR Command not allowed inside a transaction";
// With the command's full name.
inline constexpr const char* kOnlySubscribing =
    "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
    "this "
    "context";
inline constexpr const char* kMonitorKeys = "ERR Replica can't interact with the keyspace";
inline constexpr const char* kUnblocked = "UNBLOCKED client unblocked via CLIENT UNBLOCK";

// varve's own: what Redis has no case for.
inline constexpr const char* kReadFailed = "ERR the data could not be read, see the log:";
// With the limit in bytes.
inline constexpr const char* kReplyTooLong =
    "ERR the reply would exceed {} bytes, what varve holds of one in memory (maxmemory-clients); "
    "ask for fewer keys at once, or read with GET or GETRANGE";
inline constexpr const char* kKeyTooLong = "ERR key is longer than 65536 bytes, varve's limit";
inline constexpr const char* kMemberTooLong = "ERR field or member is longer than 65536 bytes, varve's limit";
inline constexpr const char* kKeysInMulti =
    "ERR KEYS inside MULTI looks at no more than 100000 keys in varve; use it outside, or SCAN";
inline constexpr const char* kBitsInMulti =
    "ERR BITCOUNT and BITPOS inside MULTI look at no more than 64 MiB in varve; use them outside";
inline constexpr const char* kLcsLimit = "ERR LCS compares strings of no more than 1 MiB together in varve";
inline constexpr const char* kRemovedTooMany =
    "ERR so many members cannot be removed at once (varve's limit is 500000, or all there are)";
inline constexpr const char* kUnknownCursor =
    "ERR unknown cursor: varve remembers a bounded number of SCAN positions and this one is gone; start "
    "again with cursor 0";
inline constexpr const char* kMoveTooLong =
    "ERR the change would move more than 64 MiB of the list at once, varve's limit";
inline constexpr const char* kBitopTooLong =
    "ERR the result would be longer than 64 MiB, what varve's BITOP writes at once";
inline constexpr const char* kSortByDenied =
    "ERR BY option of SORT denied due to insufficient ACL permissions.";
inline constexpr const char* kSortGetDenied =
    "ERR GET option of SORT denied due to insufficient ACL permissions.";
inline constexpr const char* kSortTooLong =
    "ERR SORT would gather more than 64 MiB at once, varve's limit; with BY nosort and LIMIT it gathers only "
    "what it replies";
inline constexpr const char* kCopyTooLong =
    "ERR value is too long to be copied at once (varve's limit is 64 MiB)";

}  // namespace varve::errors
