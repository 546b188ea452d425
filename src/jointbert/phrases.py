"""The grammar of the embedded task: what people say to a house and to a travel desk.

A template is a sentence with `{slot}` where a value of that slot stands; a value of several words
is labelled B- and then I-. Some values hold accents, foreign letters or upper case, so that a
reader of the data which mishandles them cannot go unseen.
"""

from collections.abc import Mapping

# Slot type -> the list in VALUES that it draws from.
SLOTS: Mapping[str, str] = {
    "room": "room",
    "device": "device",
    "colour": "colour",
    "level": "level",
    "artist": "artist",
    "song": "song",
    "genre": "genre",
    "from_city": "city",
    "to_city": "city",
    "city": "city",
    "airline": "airline",
    "date": "date",
    "time": "time",
    "return_date": "date",
    "cabin": "cabin",
    "stars": "number",
    "nights": "number",
    "guests": "number",
    "price": "price",
    "condition": "condition",
    "alarm_name": "name",
    "person": "person",
    "task": "task",
    "mode": "mode",
    "place": "place",
    "degrees": "degrees",
    "duration": "duration",
    "dish": "dish",
}

# Per list, the values apart by a bar.
_LISTS: Mapping[str, str] = {
    "room": (
        "kitchen|bedroom|living room|bathroom|hallway|cellar|study|guest room|attic|garage"
        "|dining room|nursery|upstairs landing"
    ),
    "device": (
        "lamp|ceiling light|heater|fan|blinds|television|speaker|coffee machine|dishwasher"
        "|floor lamp|radio|air purifier|oven|washing machine"
    ),
    "colour": "red|warm white|blue|green|pale yellow|violet|orange|turquoise|deep pink",
    "level": "ten percent|half|full brightness|thirty percent|a quarter|minimum|maximum",
    "artist": (
        "Björk|Miles Davis|Amália Rodrigues|The Kinks|Nina Simone|Sigur Rós|Daft Punk"
        "|Caetano Veloso|Édith Piaf|Kraftwerk|Ella Fitzgerald|Mötorhead|Röyksopp|Beyoncé"
    ),
    "song": (
        "blue in green|la vie en rose|waterloo sunset|hyperballad|around the world|feeling good"
        "|garota de ipanema|águas de março|summertime|autobahn|ágætis byrjun"
    ),
    "genre": "jazz|fado|techno|chamber music|folk|bossa nova|swing|hip hop|baroque",
    "city": (
        "Lisbon|Oslo|San Sebastián|Zürich|New York|Málaga|Reykjavík|Köln|Vienna|Tromsø"
        "|Buenos Aires|Paris|Gießen|São Paulo|Dublin|Kraków|Rio de Janeiro|Helsinki|Antwerp"
        "|Brno|Bath|Nantes|Edinburgh|Thessaloniki|Porto|Ghent|Århus|Las Palmas|Trieste|Łódź"
    ),
    "airline": ("northwind|air lumière|blue heron|transpolar|iberavia|silver tern airways|kestrel"),
    "date": (
        "tomorrow|next friday|the third of may|monday|christmas eve|this weekend|june first"
        "|the day after tomorrow|on sunday|next week|tonight|twelfth of september"
    ),
    "time": (
        "seven|half past eight|noon|six thirty|quarter to nine|midnight|7:45|ten in the evening"
        "|5 pm|early morning|eleven o'clock"
    ),
    "cabin": "economy|business class|first class|premium economy|window seat",
    "number": "one|two|three|four|five|six|seven|2|3",
    "price": "eighty euros|a hundred dollars|120 euros|$90|two hundred pounds|60 francs|£75",
    "condition": "rain|snow|fog|strong wind|sunny|thunderstorms|below zero|drizzle",
    "name": "gym|school run|wake up|medication|tea timer|piano practice|laundry",
    "person": "Anna|my brother|Søren|doctor Okafor|mum|José|the landlord|Chloë|Ms Nguyen",
    "task": (
        "water the plants|pay the rent|buy oat milk|renew the passport|feed the cat"
        "|print tickets|call the plumber|return the library books"
    ),
    "mode": "on foot|by bike|by tram|by car|on the night bus|by ferry",
    "place": (
        "the central station|city hall|the airport|harbour museum|the botanical garden"
        "|Café Müller|the old bridge|university library|stadium|naïve art gallery"
    ),
    "degrees": "nineteen degrees|21 degrees|eighteen and a half|twenty two|16°",
    "duration": "ten minutes|an hour|forty five seconds|half an hour|three hours|90 minutes",
    "dish": "lasagne|crème brûlée|pad thai|lentil soup|smørrebrød|rice and beans|goulash",
}
VALUES: Mapping[str, tuple[str, ...]] = {
    name: tuple(values.split("|")) for name, values in _LISTS.items()
}

# Under "?" stand answers whose intent only the rest of a conversation would tell. They keep the
# scores of any model on this task below 1, as step 3 of the ladder needs.
TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "set_light": (
        "turn the {device} in the {room} {colour}",
        "make the {room} {colour}",
        "dim the {device} to {level}",
        "set the {room} lights to {level} please",
        "I want {colour} light in the {room} at {level}",
        "lights off",
        "switch on the {device}",
    ),
    "set_temperature": (
        "set the {room} to {degrees}",
        "make it {degrees} in the {room}",
        "heat the {room} to {degrees} by {time}",
        "it's too cold in the {room}",
        "lower the temperature to {degrees} for {duration}",
    ),
    "play_music": (
        "play {song} by {artist}",
        "play some {genre} in the {room}",
        "put on {artist}",
        "I'd like to hear {song}",
        "play {genre} on the {device} for {duration}",
        "something by {artist}, please!",
    ),
    "book_flight": (
        "book a flight from {from_city} to {to_city} {date}",
        "I need a {cabin} ticket to {to_city} leaving {date} and returning {return_date}",
        "fly me from {from_city} to {to_city} with {airline}",
        "are there {airline} flights to {to_city} before {time} {date}",
        "{from_city} to {to_city}, {cabin}, under {price}",
        "flights from {from_city} to {to_city}",
    ),
    "find_train": (
        "next train from {from_city} to {to_city}",
        "which train leaves {from_city} for {to_city} after {time}",
        "is there a night train to {to_city} {date}",
        "trains from {from_city} to {to_city} {date} around {time}",
        "how long does the train from {from_city} to {to_city} take",
    ),
    "find_hotel": (
        "find a hotel in {city} for {nights} nights",
        "a {stars} star hotel near {place} under {price}",
        "book a room in {city} for {guests} people {date}",
        "hotels in {city} below {price} a night",
        "somewhere to sleep close to {place} in {city}",
    ),
    "get_weather": (
        "will there be {condition} in {city} {date}",
        "weather in {city}",
        "what's the forecast for {city} {date}",
        "do I need an umbrella {date}",
        "is it going to be {condition} {date} around {time}",
    ),
    "set_alarm": (
        "wake me at {time} {date}",
        "set an alarm for {time} called {alarm_name}",
        "start a {alarm_name} timer for {duration}",
        "alarm at {time}",
        "move the {alarm_name} alarm to {time}",
    ),
    "add_reminder": (
        "remind me to {task} {date}",
        "remind {person} to {task} at {time}",
        "don't let me forget to {task}",
        "tell {person} to {task} in {duration}",
        "add {task} to my list",
    ),
    "navigate": (
        "how do I get to {place} {mode}",
        "directions to {place}",
        "take me to {place} in {city}",
        "meet {person} at {place} {date} at {time}",
        "how far is {place} {mode}",
    ),
    "order_food": (
        "order {dish} for {guests}",
        "get me {guests} {dish} from the place near {place}",
        "I'm hungry, {dish} for {person} please",
        "deliver {dish} to {place} at {time}",
    ),
    "stop": ("stop", "cancel", "Enough!", "never mind", "quiet", "stop the {device}"),
    "?": (
        "and {date}",
        "what about {city}",
        "the same for {city}",
        "at {time}",
        "{guests}",
        "rather {price}",
    ),
}

# What an answer under "?" may mean: the intent, and the slot that a value then fills.
ANSWERS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("book_flight", {"city": "to_city", "date": "return_date"}),
    ("find_hotel", {"guests": "nights"}),
    ("get_weather", {}),
)

LONG = (
    "book a flight from {from_city} to {to_city} {date} and then from {from_city} to {to_city}"
    " {date} with {airline} in {cabin} below {price} and find a hotel in {city} for {nights} nights"
    " near {place} and one in {city} for {guests} people close to {place} and a train from"
    " {from_city} to {to_city} after {time}"
)

# Word endings and other pieces that the vocabulary knows besides whole words.
_PIECES = (
    "ing ed er est ly tion ment ness ville burg ton land ham ia an en in on er ar or al el il ol"
    " a e i o s es us is os um ra re ri ro la le li lo na ne ni no ta te ti to da de di do ma me mi"
    " mo ka ke ki ko pa pe pi po sa se si so va ve vi vo ch sh th st nd nt rt ck ss ll oo ee ea ou"
    " 0 5 00 15 30 45"
)
PIECES: tuple[str, ...] = tuple(_PIECES.split())
