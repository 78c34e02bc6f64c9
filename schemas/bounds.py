"""What is accepted at most: every bound in one place, each with its reason.

Whatever passes must fit every later record, key, path, column and clock. A bound is reached and still good;
one more is refused. Characters are Unicode code points, of which UTF-8 takes at most four bytes each.
"""

# --- ids
# 256 characters are at most 1,024 bytes: the width of ``product_id`` in the index, where Milvus counts bytes.
ID_CHARS = 256
ID_BYTES = 4 * ID_CHARS
# An integer id is taken as its decimal text. Beyond 64 bits readers of JSON begin to round; such an id is
# sent as text.
ID_LEAST, ID_GREATEST = -(2**63), 2**64 - 1
# It stands twice in keys of contributions, and UBI knows no longer one.
EVENT_ID_CHARS = 100

# --- texts
# A pair's key is the query, a tab and a product id, and casefolding may triple a text: about 13 kB at most.
QUERY_CHARS = 1024
TITLE_CHARS = 2000
ADDRESS_CHARS = 2048  # of a picture
DESCRIPTION_CHARS = 20_000
BRAND_CHARS = 256
NAME_CHARS = 100
REASON_CHARS = 500
# A folder or file of a candidate: what file systems take.
PATH_CHARS = 1024

# --- lists, and their bytes
SHOWN_IDS = 200
# 200 sha256 in hexadecimal and as much again; 200 ids of 256 characters, 46 times, were a state of 9 MB.
SHOWN_BYTES = 25_600
ITEMS = 500
# 500 lines with two ids of 64 characters each.
ITEM_BYTES = 64_000
CATEGORIES = 20
VARIANTS = 500
# What names one product beside its id: its variants, and as many more as attributes hold.
IDENTIFIERS = 2 * VARIANTS
# As long as both texts of a product together; nobody reads more of it.
ATTRIBUTES_BYTES = 65_536

# --- states, each one record of a compacted topic: a broker with Kafka's default takes 1,048,588 bytes
# What attribution remembers of one shopper; key, fence and counters come to it, 2 kB at most.
SHOPPER_BYTES = 786_432
# The shown products that are remembered of one search, if several records carry one query_id.
SEEN_BYTES = 64_000
# Days of one pair with rows of their own: 400 bytes each if every action stands in it.
PAIR_DAYS = 1000

# --- numbers
# Positions and generations: what every language's plain integer holds.
RANK = 2**31 - 1
# What every reader of JSON holds exactly.
EXACT_INTEGER = 2**53 - 1
# 64 bits: room for nanoseconds since 1970. A greater version would bar every later one.
VERSION = 2**63 - 1
QUANTITY = 100_000
PRICE = 1e9
# A line's value in minor units. Sums are columns of 64 bits: 900,000 such lines of one pair still fit.
LINE_MINOR = 10**13

# --- clocks
# Years of a time, both included: written in any zone it stays within what datetime, Kafka and four digits
# hold. Older than what any shop has kept, but the zero of Excel's calendar is still a date (too old, not
# unreadable).
FIRST_YEAR, LAST_YEAR = 1900, 9998
# The same as an epoch number, in nanoseconds.
FIRST_EPOCH, LAST_EPOCH = -2_208_988_800 * 10**9, 253_370_764_799 * 10**9

# --- searching
K = 200
OFFSET = 1000
TIMEOUT_MS = 600_000
FILTERS = 20
FILTER_CHARS = 1024
FILTER_LIST = 100
# Of all conditions together: 2,000 categories took a second of the index.
FILTER_VALUES = 400
# Fields that one request asks the counts of, values of each that are told, and products that are looked at.
FACETS = 10
FACET_VALUES = 50
FACETED = 200
# Of each a collection has two columns, beside one of all and nine others; a server of Milvus takes 64.
INDEXED_ATTRIBUTES = 20
# A request, and what an operator or a program asks for: seven megabytes of filters kept all others waiting
# for four seconds.
REQUEST_BYTES = 65_536
# The file of a picture that is searched by. With the rest of the request it stays below the 1,048,588 bytes
# that a broker with Kafka's default takes; a prepared picture is smaller, whatever it shows.
IMAGE_BYTES = 524_288
IMAGE_CHARS = -(-IMAGE_BYTES // 3) * 4
PARAMS = 50

# --- merchandising rules
# Of one deployment, as every searcher holds them in memory: indexed, 10,000 take it a few MB.
RULES = 10_000
# Products that one rule names; more are several rules, or a condition.
RULE_IDS = 100
# What a boost adds to a score, in which a perfect cosine counts 1.
BOOST = 1.0
# Rules for one query, or for every query, that name neither a product nor a brand, category or availability:
# each is compared with every candidate.
LOOSE_RULES = 20
# Products that are pinned for one query: an answer's greatest page.
PINNED = 200

# --- judgments
# Ratings of one query in a named set; what a person rates is ten, a file of graded judgments has some dozens.
RATINGS = 1000
# The relevance of a product to a query, which is its gain.
RELEVANCE = 1000.0
# Ratings in one request, and its bytes.
JUDGED_AT_ONCE = 5000
JUDGED_BYTES = 1 << 20

# --- the HTTP API
# Searches in one request, and their bytes: a page of ordinary ones, not a hundred of the greatest.
SEARCH_BATCH = 100
SEARCH_BATCH_BYTES = 1 << 20
# Pictures of the greatest size that may come to these bytes.
SEARCH_BATCH_IMAGES = 5
# Records in one request and their bytes, also unpacked: what is judged in a tenth of a second or two.
POSTED_RECORDS = 1000
POSTED_BYTES = 5_000_000
# Bytes of bodies that are held at once, whatever their number.
API_HELD_BYTES = 32 << 20
# Keys, revoked ones included, and the origins of one.
API_KEYS = 10_000
KEY_ORIGINS = 100

# --- forms
# Levels of brackets: what pydantic's parser takes before it says so. The standard library's ends in a
# RecursionError at about 1,000.
JSON_DEPTH = 200
# A correlation id is echoed in the answer, an envelope's id stands in a key.
HEADER_BYTES = 1024
# Digits of a number in a header: int() refuses 4,301, and none of ours needs more than a signed 64-bit
# number.
HEADER_DIGITS = 20
# A raw record, whatever the setting says: half of what our producers write in one request, for the dead
# letter is longer than it.
RECORD_BYTES = 4 << 20
# One line of a file, after decompression: more than any record may have, and far from what memory holds.
LINE_BYTES = 8 << 20
# An operator's formula. Each level is a few calls of whoever walks it, of which Python allows about 1,000.
FORMULA_CHARS = 300
FORMULA_DEPTH = 100

# --- training
# Runs that wait: each wants something else and takes minutes, and in between the trainer can be told to end
# them.
WAITING_RUNS = 20
# Triggers that one run answers: their ids, of 256 characters at most, stand in every record of the run.
TRIGGERS_OF_A_RUN = 100
