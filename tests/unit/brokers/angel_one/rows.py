"""SmartAPI's documented rows, complete, with every value changeable."""

Row = dict[str, object]


def order_row(**changes: object) -> Row:
    """An order as the book shows it."""
    documented: Row = {
        "variety": "NORMAL",
        "ordertype": "LIMIT",
        "producttype": "DELIVERY",
        "duration": "DAY",
        "price": "194.0",
        "triggerprice": 0,
        "quantity": "3",
        "disclosedquantity": "0",
        "tradingsymbol": "SBIN-EQ",
        "transactiontype": "BUY",
        "exchange": "NSE",
        "symboltoken": "3045",
        "ordertag": "st1a2b3c",
        "cancelsize": "0",
        "averageprice": "193.95",
        "filledshares": "1",
        "unfilledshares": "2",
        "orderid": "201020000000080",
        "text": "",
        "status": "open",
        "orderstatus": "open",
        "updatetime": "20-Oct-2020 13:10:59",
        "exchtime": "20-Oct-2020 13:10:58",
        "exchorderupdatetime": "20-Oct-2020 13:11:00",
        "uniqueorderid": "34reqfachdfih",
        "exchangeorderid": "1100000000000001",
    }
    return documented | changes


def trade_row(**changes: object) -> Row:
    documented: Row = {
        "exchange": "NSE",
        "producttype": "DELIVERY",
        "tradingsymbol": "SBIN-EQ",
        "transactiontype": "BUY",
        "fillprice": "194.05",
        "fillsize": "1",
        "orderid": "201020000000080",
        "fillid": "50005750",
        "filltime": "13:27:53",
    }
    return documented | changes


def position_row(**changes: object) -> Row:
    documented: Row = {
        "exchange": "NSE",
        "symboltoken": "3045",
        "producttype": "INTRADAY",
        "tradingsymbol": "SBIN-EQ",
        "netqty": "-3",
        "avgnetprice": "1,194.05",
        "ltp": "1190.00",
    }
    return documented | changes
