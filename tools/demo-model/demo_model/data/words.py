"""The words that the model hears, and that sentences are made of. No two sound alike."""

from __future__ import annotations

ONES = "zero one two three four five six seven eight nine".split()
TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
MONTHS = "January February March April June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
LETTERS = list("BCDFGHJKLMNPQRSTVWXYZ")  # without vowels: A and I are words, E, O and U sound like others
COLOURS = "black blue brown green orange purple white yellow".split()
NOUNS = (
    "apple bag bank bicycle bird boat book bottle box bread bridge button cake camera car cat chair city clock coat "
    "coffee computer country cup customer desk doctor dog door driver engine farmer field finger fish flag forest "
    "friend garden girl glass guitar hammer hand hat horse hospital house invoice island jacket kitchen ladder lake "
    "lamp letter lemon machine market message milk minute money monkey mountain office orange paper parcel pencil "
    "people phone picture plane police potato price question rabbit radio river robot school shirt shop signal sister "
    "soldier spoon station street summer table teacher ticket tiger tomato tower train village wallet watch water "
    "window winter"
).split()
VERBS = (
    "asked bought brought built called carried cleaned closed counted dropped fixed found heard kept liked lost loved "
    "made moved opened painted paid pushed sold sent showed signed stopped took touched visited wanted washed"
).split()
ADJECTIVES = (
    "angry big broken cheap clean cold dark early empty famous fast full happy heavy hot large late little long new "
    "old quiet round short slow small strong tall tired warm wet wild young"
).split()
FUNCTION = (
    "and after because before behind every from his in into it my near not on our over please she that the their "
    "then they this today tomorrow under very we when with yesterday you hundred thousand"
).split()

SPOKEN = list(
    dict.fromkeys([*ONES, *TEENS, *TENS, *MONTHS, *DAYS, *LETTERS, *COLOURS, *NOUNS, *VERBS, *ADJECTIVES, *FUNCTION])
)


# Of print only: what people try first.
COMMON = (
    "hello world good morning evening night welcome thank thanks please yes no sorry sir madam dear order total price "
    "invoice receipt paid due date name address street city phone email number page line text image test example batch "
    "model read write open close start stop left right up down first last next back home work day week month year time "
    "all any some more most many much less other same such own only also again still just about over into out off once "
    "here there where who what how why can could will would should must may might have has had do does did done is are "
    "was were been being be make take give go come see know think look want use find tell ask feel try leave call"
).split()


def number_in_words(n: int) -> str:
    """0..999999 in plain English: `forty-two`, `one hundred seven`, `two thousand thirty`."""
    if n < 10:
        return ONES[n]
    if n < 20:
        return TEENS[n - 10]
    if n < 100:
        return TENS[n // 10 - 2] + (f"-{ONES[n % 10]}" if n % 10 else "")
    size, name = (100, "hundred") if n < 1000 else (1000, "thousand")
    rest = f" {number_in_words(n % size)}" if n % size else ""
    return f"{number_in_words(n // size)} {name}{rest}"
